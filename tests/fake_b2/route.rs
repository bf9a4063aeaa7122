//! Which call a request is.

use super::count::Class;

macro_rules! kinds {
    ($($kind:ident $api:literal $class:ident,)*) => {
        /// A call of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $(#[doc = $api] $kind,)* #[doc = "anything else"] Unknown }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// The vendor's name.
            pub fn api(self) -> &'static str {
                match self { $(Self::$kind => $api,)* Self::Unknown => "unknown" }
            }

            /// As what it is billed.
            pub fn class(self) -> Option<Class> {
                match self { $(Self::$kind => Some(Class::$class),)* Self::Unknown => None }
            }
        }
    };
}

kinds! {
    Authorize "b2_authorize_account" C,
    CreateBucket "b2_create_bucket" C,
    DeleteBucket "b2_delete_bucket" A,
    ListBuckets "b2_list_buckets" C,
    UpdateBucket "b2_update_bucket" C,
    CreateKey "b2_create_key" C,
    DeleteKey "b2_delete_key" A,
    ListKeys "b2_list_keys" C,
    GetUploadUrl "b2_get_upload_url" A,
    UploadFile "b2_upload_file" A,
    ListFileNames "b2_list_file_names" C,
    ListFileVersions "b2_list_file_versions" C,
    GetFileInfo "b2_get_file_info" B,
    DownloadById "b2_download_file_by_id" B,
    DownloadByName "b2_download_file_by_name" B,
    HideFile "b2_hide_file" A,
    DeleteFileVersion "b2_delete_file_version" A,
    UpdateFileRetention "b2_update_file_retention" A,
    UpdateFileLegalHold "b2_update_file_legal_hold" A,
    StartLargeFile "b2_start_large_file" A,
    GetUploadPartUrl "b2_get_upload_part_url" A,
    UploadPart "b2_upload_part" A,
    FinishLargeFile "b2_finish_large_file" A,
    CancelLargeFile "b2_cancel_large_file" A,
    ListParts "b2_list_parts" C,
    ListUnfinishedLargeFiles "b2_list_unfinished_large_files" C,
}

impl Kind {
    /// Whether the body is a file.
    pub fn uploads(self) -> bool {
        matches!(self, Self::UploadFile | Self::UploadPart)
    }

    /// Whether the answer is a file.
    pub fn downloads(self) -> bool {
        matches!(self, Self::DownloadById | Self::DownloadByName)
    }

    /// Whether it lists files.
    pub fn lists(self) -> bool {
        matches!(self, Self::ListFileNames | Self::ListFileVersions)
    }
}

/// A request's target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub kind: Kind,
    /// What follows the call's name in the path: the upload URL's own part, or `BUCKET/NAME` of a download by name, still encoded.
    pub rest: String,
}

/// The route of a path without its query.
pub fn route(path: &str) -> Route {
    if let Some(rest) = path.strip_prefix("/file/") {
        return Route { kind: Kind::DownloadByName, rest: rest.to_owned() };
    }
    let call = path.strip_prefix("/b2api/v4/").unwrap_or("");
    let (name, rest) = call.split_once('/').unwrap_or((call, ""));
    let kind = Kind::ALL.iter().copied().find(|kind| kind.api() == name && *kind != Kind::DownloadByName);
    Route { kind: kind.unwrap_or(Kind::Unknown), rest: rest.to_owned() }
}

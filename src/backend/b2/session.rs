//! One application key's token: got when it is needed, renewed by one at a time.

use super::credentials::Credential;
use super::failure::Failure;
use super::http::Http;
use super::location::{check_address, is_plain};
use super::retry::Attempts;
use super::wire::{Allowed, Authorized};
use crate::backend::usage::{Class, Sort};
use crate::error::StoreError;
use reqwest::header::AUTHORIZATION;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// What b2_authorize_account has answered.
pub struct Account {
    /// The account's id: no secret.
    pub account_id: String,
    /// What the key may do.
    pub allowed: Allowed,
    /// The service's clock less this machine's, in seconds; nothing if it did not say.
    pub clock_skew_secs: Option<i64>,
    pub(super) api_url: String,
    pub(super) download_url: String,
    pub(super) token: Zeroizing<String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("account_id", &self.account_id)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// A key and its token.
pub(super) struct Session {
    endpoint: String,
    credential: Credential,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    account: Option<Arc<Account>>,
    was_authorised: bool,
    /// When and why the last authorisation failed for good.
    failed: Option<(Instant, String)>,
}

impl Session {
    pub fn new(endpoint: &str, credential: Credential) -> Self {
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), credential, state: tokio::sync::Mutex::default() }
    }

    /// A token that is good as far as is known. Who comes while another gets one waits for that.
    ///
    /// # Errors
    /// [`StoreError::Credentials`], [`StoreError::Unreachable`], [`StoreError::Cancelled`].
    pub async fn account(&self, http: &Http) -> Result<Arc<Account>, StoreError> {
        let cancelled = |e: Failure| e.into_error();
        let mut state = http.stop.watch(self.state.lock(), || Ok(())).await.map_err(cancelled)?;
        if let Some(account) = &state.account {
            return Ok(Arc::clone(account));
        }
        if let Some((when, why)) = &state.failed
            && when.elapsed() < http.patience.longest_wait
        {
            // Others have just waited through all attempts: one after the other, that would take for ever.
            return Err(StoreError::Unreachable(io::Error::other(why.clone())));
        }
        let mut attempts = Attempts::new(&http.patience, &http.stop);
        loop {
            match self.authorise(http, attempts.is_retry() || state.was_authorised).await {
                Ok(account) => {
                    let account = Arc::new(account);
                    *state = State { account: Some(Arc::clone(&account)), was_authorised: true, failed: None };
                    return Ok(account);
                }
                // Here a 401 is about the key, whatever its code.
                Err(Failure::Status(error)) if error.status == 401 => {
                    return Err(StoreError::Credentials(io::Error::other(error.to_string())));
                }
                Err(failure) => {
                    if let Err(error) = attempts.next(failure).await {
                        if let StoreError::Unreachable(why) = &error {
                            state.failed = Some((Instant::now(), why.to_string()));
                        }
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The service no longer takes this token.
    pub async fn reject(&self, refused: &Arc<Account>) {
        let mut state = self.state.lock().await;
        // Somebody may have got a new one meanwhile.
        if state.account.as_ref().is_some_and(|account| Arc::ptr_eq(account, refused)) {
            state.account = None;
        }
    }

    async fn authorise(&self, http: &Http, is_retry: bool) -> Result<Account, Failure> {
        http.meter.request(Class::C, Sort::Other, is_retry);
        let url = format!("{}/b2api/v4/b2_authorize_account", self.endpoint);
        let request = http.client(is_retry).get(url).header(AUTHORIZATION, &*self.credential.basic());
        let (head, response) = http.send(request).await?;
        let answer: Authorized = http.json(response).await?;
        let api = answer.api_info.storage_api;
        for address in [&api.api_url, &api.download_url] {
            self.check(address)?;
        }
        let skew = |secs: i64| secs - jiff::Timestamp::now().as_second();
        Ok(Account {
            account_id: answer.account_id,
            clock_skew_secs: head.date_secs().map(skew),
            api_url: api.api_url.trim_end_matches('/').to_owned(),
            download_url: api.download_url.trim_end_matches('/').to_owned(),
            allowed: api.allowed,
            token: answer.authorization_token,
        })
    }

    /// Whether tokens and objects may go to an address that the service has named.
    pub fn check(&self, address: &str) -> Result<(), Failure> {
        let downgraded = is_plain(address) && !is_plain(&self.endpoint);
        match check_address(address) {
            Ok(()) if !downgraded => Ok(()),
            Ok(()) => Err(Failure::Local(io::Error::new(
                io::ErrorKind::InvalidData,
                "the service names an address without TLS",
            ))),
            Err(why) => Err(Failure::Local(io::Error::new(io::ErrorKind::InvalidData, why))),
        }
    }
}

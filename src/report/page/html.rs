//! Text made safe for HTML.

/// Escapes what HTML and SVG would take for themselves, in text and in quoted attributes. Control characters become spaces.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A table with a caption for those who hear it. The first cell of a row is its head. Columns from `numbers_from` (1 to 4) on are numbers.
pub fn table(caption: &str, titles: &[&str], rows: &[Vec<String>], numbers_from: usize) -> String {
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table class=\"n{numbers_from}\"><caption>{0}</caption><thead><tr>",
        escaped(caption)
    );
    for title in titles {
        out.push_str(&format!("<th scope=col>{}", escaped(title)));
    }
    // Ends of cells and rows may be left out (HTML standard, "Optional tags"): in a long table they are a quarter of it.
    out.push_str("</thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            // Cells are HTML already.
            out.push_str(if at == 0 { "<th scope=row>" } else { "<td>" });
            out.push_str(cell);
        }
    }
    out.push_str("</tbody></table></div>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out() {
        assert_eq!(escaped("<a b='c'>&\"\n\u{202e}"), "&lt;a b=&#39;c&#39;&gt;&amp;&quot; ");
        let text = table("c", &["a", "b"], &[vec![escaped("<x>"), "1".into()]], 1);
        assert!(text.contains("<tr><th scope=row>&lt;x&gt;<td>1</tbody>"), "{text}");
    }
}

//! The screen, drawn.

use super::model::{Model, Screen, Typing};
use panther::report::text;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{List, ListItem, ListState, Paragraph};

/// Draws all of it. Bold and reversed only: colours are the terminal's own affair.
pub fn draw(frame: &mut Frame<'_>, model: &Model, location: &str) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    let (place, keys) = match model.screen() {
        Screen::Snapshots => (text::message(location), "Return opens  / filters  q leaves"),
        Screen::Folder(path) => {
            let place = if path.is_empty() { "/".to_owned() } else { text::name(path) };
            (place, "Return opens  ← goes back  space marks  v versions  r restores  / filters  q leaves")
        }
        Screen::Versions(path) => {
            (format!("versions of {}", text::name(path)), "r restores this one  ← goes back  q leaves")
        }
    };
    let marked = match model.marked.len() {
        0 => String::new(),
        number => format!("   {number} marked"),
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(Line::styled(format!("{place}{marked}"), bold)), head);
    if let Some(list) = model.list() {
        let item = |path: &[u8], text: &str| {
            let mark = if !path.is_empty() && model.marked.contains(path) { "* " } else { "  " };
            ListItem::new(format!("{mark}{text}"))
        };
        let items: Vec<_> = list.shown().map(|(_, row)| item(&row.path, &row.text)).collect();
        let empty = items.is_empty();
        let mut state = ListState::default().with_selected(Some(list.cursor).filter(|_| !empty));
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        frame.render_stateful_widget(List::new(items).highlight_style(reversed), body, &mut state);
        if empty {
            frame.render_widget(Paragraph::new("  nothing"), body);
        }
    }
    let line = match &model.typing {
        Some((Typing::Filter, text)) => format!("/{text}█"),
        Some((Typing::Target, text)) => format!("Into which new folder? {text}█"),
        None if !model.message.is_empty() => model.message.clone(),
        None => keys.to_owned(),
    };
    frame.render_widget(Paragraph::new(line), foot);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::{Key, Row};
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(model: &Model) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(60, 6)).unwrap();
        terminal.draw(|frame| draw(frame, model, "/backup")).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let row = |y| (0..60).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..6).map(row).collect()
    }

    #[test]
    fn what_is_seen() {
        let row = |text: &str, path: &str| Row { text: text.into(), path: path.as_bytes().to_vec(), is_dir: true };
        let mut model = Model::new(vec![row("1a2b  yoga", "")]);
        assert_eq!(drawn(&model)[..2], ["/backup", "  1a2b  yoga"]);
        model.opened(0, b"/home".to_vec(), vec![row("me/", "/home/me"), row("you/", "/home/you")]);
        model.press(Key::Char(' '));
        let seen = drawn(&model);
        assert_eq!(seen[..4], ["/home   1 marked", "* me/", "  you/", ""]);
        assert!(seen[5].starts_with("Return opens"));
        model.press(Key::Char('r'));
        assert_eq!(drawn(&model)[5], "Into which new folder? restored█");
        model.press(Key::Back);
        model.press(Key::Char('/'));
        model.press(Key::Char('x'));
        assert_eq!(drawn(&model)[1], "  nothing");
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Subject and message in a mail that git format-patch made.

/// The subject and the message of the mail `text`, without its trailers.
pub fn message(text: &str) -> Option<(String, String)> {
    let (head, rest) = text.split_once("\n\n")?;
    // A line that begins with a space goes on with the one before.
    let head = head.replace("\n ", " ");
    let subject = head
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "))?;
    let subject = match subject.strip_prefix('[') {
        Some(prefix) => prefix.split_once("] ")?.1,
        None => subject,
    };
    let (message, _) = rest.split_once("\n---\n")?;
    let lines: Vec<&str> = message
        .lines()
        .filter(|line| !line.starts_with("Signed-off-by: "))
        .collect();
    Some((subject.to_owned(), lines.join("\n").trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn long_subjects_are_whole_and_trailers_are_not_the_message() {
        let text = "From 0\nFrom: A\n <a@b>\nSubject: [PATCH 1/2] a: change\n what is there\n\n\
                    Why.\n\nWhat.\n\nSigned-off-by: A <a@b>\n---\n x | 2\n---\n";
        let expected = ("a: change what is there".into(), "Why.\n\nWhat.".into());
        assert_eq!(message(text), Some(expected));
        assert_eq!(message("Subject: x\n\nno end\n"), None);
    }
}

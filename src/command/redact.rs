//! Which arguments are secrets, not to be shown by SLOWLOG and MONITOR.

use formats::resp::Request;

use super::Command;
use super::args::is;

/// Settings whose values are secrets, here and elsewhere.
const SECRET_SETTINGS: &[&str] =
    &["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];

/// Whether argument `index` of this request is a secret.
pub fn hides(command: &Command, request: Request<'_>, index: usize) -> bool {
    match command.name {
        "auth" => index > 0 && index + 1 == request.len() && request.len() <= 3,
        "hello" => is_credential_of_hello(request, index),
        "config|set" => {
            index >= 3
                && index % 2 == 1
                && SECRET_SETTINGS.iter().any(|name| is(request.arg(index - 1), name))
        }
        _ => false,
    }
}

fn is_credential_of_hello(request: Request<'_>, wanted: usize) -> bool {
    let mut index = 2;
    while let Some(word) = request.get(index) {
        index += match word {
            _ if is(word, "AUTH") && request.len() > index + 2 => {
                if wanted == index + 1 || wanted == index + 2 {
                    return true;
                }
                3
            }
            _ if is(word, "SETNAME") => 2,
            _ => return false,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::find;
    use crate::command::testing::with_line;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        for (line, hidden) in [
            ("auth secret", &[1][..]),
            ("AUTH me secret", &[2]),
            ("auth a b c", &[]),
            ("hello 3 AUTH me secret SETNAME x", &[3, 4]),
            ("hello 3 setname x auth me secret", &[5, 6]),
            ("hello 3 auth me", &[]),
            ("config set save x requirepass y RequirePass z timeout 1", &[5, 7]),
            ("config get requirepass x", &[]),
            ("set requirepass auth", &[]),
        ] {
            with_line(line, |request| {
                let command = find(request).unwrap().1;
                let found: Vec<_> =
                    (0..request.len()).filter(|index| hides(command, request, *index)).collect();
                assert_eq!(found, hidden, "{line}");
            });
        }
    }
}

//! The HELP of container commands, in the shape that clients know.

use formats::resp::Reply;

/// How a subcommand is called, and what it does, line by line.
pub type Lines = &'static [(&'static str, &'static [&'static str])];

const INDENT: &str = "    ";

/// Answers the help of `container`, with that of HELP itself at the end.
pub fn write(reply: &mut Reply<'_>, container: &str, lines: Lines) {
    let count: usize = lines.iter().map(|(_, does)| 1 + does.len()).sum();
    reply.array(count + 3);
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (call, does) in lines {
        reply.simple(call);
        for line in *does {
            reply.simple(&format!("{INDENT}{line}"));
        }
    }
    reply.simple("HELP");
    reply.simple(&format!("{INDENT}Prints this help."));
}

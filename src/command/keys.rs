//! tmp
use super::Command;
use formats::resp::Request;
pub fn positions(command: &Command, request: Request<'_>) -> impl Iterator<Item = usize> + use<> {
    let first = command.keys.first as usize;
    let last = if command.keys.last < 0 { request.len() - (-command.keys.last) as usize } else { command.keys.last as usize };
    let step = command.keys.step.max(1) as usize;
    (first..=last).step_by(step).filter(move |_| first > 0)
}

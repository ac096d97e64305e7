//! Tables for people to read: columns as wide as their cells, numbers on the right.

/// On which side of its column a cell stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows that are written when all are there.
pub struct Table<const N: usize> {
    aligns: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub fn new(header: [&str; N], aligns: [Align; N]) -> Table<N> {
        Table { aligns, rows: vec![header.map(str::to_owned)] }
    }

    pub fn row(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.map(|cell| if cell.chars().any(char::is_control) { printable(&cell) } else { cell }));
    }

    /// Appends all rows.
    pub fn write(&self, out: &mut Vec<u8>) {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(self.aligns).zip(widths) {
                let gap = " ".repeat(width - cell.chars().count());
                match align {
                    Align::Left => line.extend([cell, &gap, "  "]),
                    Align::Right => line.extend([&gap, cell, "  "]),
                }
            }
            out.extend_from_slice(line.trim_end().as_bytes());
            out.push(b'\n');
        }
    }
}

/// Without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let itself = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(itself)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["size", "key", ""], [Align::Right, Align::Left, Align::Left]);
        table.row(["7".into(), "a\n".into(), "x".into()]);
        table.row(["1234567".into(), "äöü".into(), "y".into()]);
        let mut out = Vec::new();
        table.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "   size  key\n      7  a\\n  x\n1234567  äöü  y\n");
    }
}

package cli

import (
	"io"
	"strings"
)

// column is a column of a plain table.
type column struct {
	header string
	right  bool // right-aligned, header too
}

// writeTable prints the C tool's table: a rule, the header, a rule, the rows.
// A cell is a blank, the value padded to the column's width in bytes, and a
// blank; the last column too, so lines end in blanks (spec/cli.md §8.1).
func writeTable(w io.Writer, columns []column, rows [][]string) error {
	widths := make([]int, len(columns))
	header := make([]string, len(columns))
	total := 0
	for i, c := range columns {
		header[i] = c.header
		widths[i] = len(c.header)
		for _, row := range rows {
			widths[i] = max(widths[i], len(row[i]))
		}
		total += widths[i] + 2
	}
	var b strings.Builder
	rule := strings.Repeat("=", total) + "\n"
	line := func(cells []string) {
		for i, c := range columns {
			padding := strings.Repeat(" ", widths[i]-len(cells[i]))
			if c.right {
				b.WriteString(" " + padding + cells[i] + " ")
			} else {
				b.WriteString(" " + cells[i] + padding + " ")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString(rule)
	line(header)
	b.WriteString(rule)
	for _, row := range rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

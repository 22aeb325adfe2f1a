package replay

import (
	"regexp"
	"strings"
)

// helpColumn is where the text of an option starts (spec/cli.md §1.3).
const helpColumn = 35

var (
	optionLine = regexp.MustCompile(`^(  -\w, --\S+|      --\S+)(\s+|$)(.*)$`)
	facts      = regexp.MustCompile(`\((default|example)[^)]*\)|available (options|units): ('\w+',? ?)*`)
)

// IsHelp tells whether a text is a page of help.
func IsHelp(page string) bool {
	return strings.HasPrefix(page, "\n") && strings.Contains(page, " help [COMMAND]\n") ||
		strings.HasPrefix(page, "\n") && regexp.MustCompile(`\A\n\S+ [a-z-]+ -B backup-path`).MatchString(page)
}

// Skeleton reduces a help page to what scripts read: synopses, option names
// with their columns, headings, defaults and lists of values. The
// descriptions are each tool's own.
func Skeleton(page string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(page, "\n") {
		text, end := strings.CutSuffix(line, "\n")
		m := optionLine.FindStringSubmatch(text)
		switch {
		case m != nil:
			b.WriteString(m[1] + m[2] + strings.Join(facts.FindAllString(m[3], -1), " "))
		case strings.HasPrefix(text, strings.Repeat(" ", helpColumn)):
			found := facts.FindAllString(text, -1)
			if len(found) == 0 {
				continue // running text
			}
			b.WriteString(strings.Repeat(" ", helpColumn) + strings.Join(found, " "))
		default:
			b.WriteString(text)
		}
		if end {
			b.WriteString("\n")
		}
	}
	return b.String()
}

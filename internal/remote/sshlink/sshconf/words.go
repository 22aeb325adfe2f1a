package sshconf

import (
	"errors"
	"strings"
)

// errQuote is the error for a line with an open quote.
var errQuote = errors.New("no terminating quote")

// wholeLine are the keywords whose value is the rest of the line as it is.
var wholeLine = map[string]bool{
	"proxycommand": true, "localcommand": true, "remotecommand": true, "knownhostscommand": true,
}

// splitLine separates a line of a file into its keyword, in lower case, and
// its arguments. Blank lines and comments give "".
//
//	line    = blank* keyword blank* [ "=" ] blank* args
//	args    = words separated by blanks; '…' and "…" join; a backslash takes
//	          a following quote, backslash or (outside quotes) blank as it is;
//	          a word that begins with # ends the line
func splitLine(line string) (keyword string, args []string, err error) {
	line = strings.Trim(line, " \t\r\n\f\v")
	if line == "" || line[0] == '#' {
		return "", nil, nil
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), nil, nil
	}
	keyword = strings.ToLower(strings.Trim(line[:end], `"`))
	rest := strings.TrimLeft(line[end:], " \t")
	if after, ok := strings.CutPrefix(rest, "="); ok {
		rest = strings.TrimLeft(after, " \t")
	}
	if wholeLine[keyword] {
		return keyword, []string{rest}, nil
	}
	args, err = splitWords(rest, true)
	return keyword, args, err
}

// SplitWords cuts the text of --ssh-options into words: at blanks, quotes
// respected (spec/cli.md §3.2).
func SplitWords(text string) ([]string, error) { return splitWords(text, false) }

func splitWords(s string, comments bool) ([]string, error) {
	var words []string
	for i := 0; ; {
		for i < len(s) && isBlank(s[i]) {
			i++
		}
		if i == len(s) || comments && s[i] == '#' {
			return words, nil
		}
		var word strings.Builder
		var quote byte
		for ; i < len(s) && (quote != 0 || !isBlank(s[i])); i++ {
			switch c := s[i]; {
			case c == '\\' && i+1 < len(s) && escapable(s[i+1], quote):
				i++
				word.WriteByte(s[i])
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			default:
				word.WriteByte(c)
			}
		}
		if quote != 0 {
			return nil, errQuote
		}
		words = append(words, word.String())
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

func escapable(c, quote byte) bool {
	return c == '\'' || c == '"' || c == '\\' || quote == 0 && c == ' '
}

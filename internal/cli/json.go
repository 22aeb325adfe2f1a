package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file prints JSON the way the C tool does: four blanks per level, one
// key per line, a blank after the colon, bytes above 0x7e as they are
// (spec/cli.md §8.2). encoding/json would escape and order differently.

// jsonValue is anything that prints itself at a level of indentation.
type jsonValue interface {
	writeJSON(b *strings.Builder, level int)
}

// jsonObject keeps its keys in order.
type jsonObject []jsonMember

type jsonMember struct {
	key   string
	value jsonValue
}

func (o *jsonObject) add(key string, value jsonValue) {
	*o = append(*o, jsonMember{key, value})
}

func (o *jsonObject) text(key, value string) { o.add(key, jsonString(value)) }

func (o *jsonObject) number(key string, n int64) { o.add(key, jsonLiteral(strconv.FormatInt(n, 10))) }

// jsonArray prints as "[", line feed, "]" when empty; jsonList as "[]". The C
// tool uses either, depending on the place.
type (
	jsonArray []jsonValue
	jsonList  []jsonValue
)

// jsonLiteral is a number.
type jsonLiteral string

type jsonString string

func indent(b *strings.Builder, level int) {
	for range level {
		b.WriteString("    ")
	}
}

func (o jsonObject) writeJSON(b *strings.Builder, level int) {
	b.WriteString("{")
	for i, m := range o {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		indent(b, level+1)
		jsonString(m.key).writeJSON(b, level)
		b.WriteString(": ")
		m.value.writeJSON(b, level+1)
	}
	b.WriteString("\n")
	indent(b, level)
	b.WriteString("}")
}

func (a jsonArray) writeJSON(b *strings.Builder, level int) {
	b.WriteString("[")
	for i, v := range a {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		indent(b, level+1)
		v.writeJSON(b, level+1)
	}
	b.WriteString("\n")
	indent(b, level)
	b.WriteString("]")
}

func (l jsonList) writeJSON(b *strings.Builder, level int) {
	if len(l) == 0 {
		b.WriteString("[]")
		return
	}
	jsonArray(l).writeJSON(b, level)
}

func (l jsonLiteral) writeJSON(b *strings.Builder, _ int) { b.WriteString(string(l)) }

func (s jsonString) writeJSON(b *strings.Builder, _ int) {
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '"':
			b.WriteString(`\"`)
		case '\\':
			b.WriteString(`\\`)
		default:
			if c < ' ' {
				fmt.Fprintf(b, `\u%04x`, c)
				continue
			}
			// Bytes that are no UTF-8 would make the whole document unreadable;
			// the C tool prints them.
			r, n := utf8.DecodeRuneInString(string(s[i:]))
			if r == utf8.RuneError && n == 1 {
				b.WriteString(`\ufffd`)
				continue
			}
			b.WriteString(string(s[i : i+n]))
			i += n - 1
		}
	}
	b.WriteByte('"')
}

// writeJSON prints a document with a line feed at its end.
func writeJSON(w io.Writer, v jsonValue) error {
	var b strings.Builder
	v.writeJSON(&b, 0)
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

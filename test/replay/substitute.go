package replay

import (
	"regexp"
	"slices"
	"strings"
)

// substitutions are what no two runs have in common. They are made in the
// recorded text and in ours; whatever is left must be equal.
var substitutions = []struct {
	what    string
	pattern *regexp.Regexp
	with    string
}{
	{"build of the tool", regexp.MustCompile(`(?m)^(gs_probackup \(openGauss)(?:-lite)?( [\d.]+ build )\w{8}\) compiled at .*`), "${1}${2}HASH)"},
	{"time of day", regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(?: UTC|\+00)?`), "TIME"},
	{"process", regexp.MustCompile(`\bProcess \d+\b|\bprocess \d+\b|\[\d+\]:`), "PID"},
	{"end of recovery", regexp.MustCompile(` --until=[0-9A-F]{24}\.[0-9A-F]{8}\b`), ""},
	{"WAL segment", regexp.MustCompile(`\b[0-9A-F]{24}\b`), "SEGMENT"},
	{"duration", regexp.MustCompile(`(time elapsed: )[\ddhms:]+`), "${1}TIME"},
	{"size", regexp.MustCompile(`\b\d{1,20}(?:B|kB|MB|GB|TB)\b|((?:size|size to free[^:\n]*|bytes): )0\b`), "${1}SIZE"},
	{"duration and ratio in a table", regexp.MustCompile(`(STREAM|ARCHIVE)( +\d/\d +)[\ddhms:]+( +\S+ +\S+ +)\d+\.\d\d `), "$1${2}TIME${3}RATIO "},
	{"free space", regexp.MustCompile(`bsize:.*`), "bsize"},
	{"share of blocks restored", regexp.MustCompile(`\d+% \(SIZE/SIZE\)`), "RATIO"},
	{"number of files", regexp.MustCompile(`\((\d+)/\d+, (done|sync)_files`), "(N/N, ${2}_files"},
	{"number of a file", regexp.MustCompile(`(Progress: )\(\d+/\d+\)(\. \w+ file ").*`), "$1(N/N)$2"},
	{"WAL position", regexp.MustCompile(`\b[0-9A-F]{1,8}/[0-9A-F]{3,8}\b`), "LSN"},
	{"transaction", regexp.MustCompile(`\bxid \d+`), "xid N"},
	{"checksum of a file", regexp.MustCompile(`(Invalid CRC of .*: )\w+(\. Expected:? )\w+`), "${1}CRC${2}CRC"},
	{"count in JSON or a control file", regexp.MustCompile(`(-bytes|content-crc|recovery-xid|compress-ratio)("?)( = |: )\d+`), "$1$2${3}N"},
	{"sum and size", regexp.MustCompile(`(calculated checksum |but expected |invalid file size )\d+`), "${1}N"},
	{"page and block", regexp.MustCompile(`(block|blknum) \d+|(checksum: )\d+`), "$1${2}N"},
}

// receiver are the lines of other threads, mostly of the one that receives WAL.
// They stand anywhere, in up to three pieces (spec/cli.md §7.2), so they are
// compared apart, each once.
var receiver = regexp.MustCompile(`(?m)^(?: (?:check identify system success|send START_REPLICATION .*|keepalive message is received)|LOG: (?:started|finished) streaming WAL .*|LOG: Creating page header map .*)\n`)

// optional are lines that a run prints if it has to wait, or if the WAL stops in
// the middle of a segment.
var optional = regexp.MustCompile(`(?m)^INFO: Wait for LSN .*\n|^\(null\): not renaming .*\n`)

var (
	stamp   = regexp.MustCompile(` {100}\r?|\r?\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]:`)
	torn    = regexp.MustCompile(`(?m)^((?:INFO|LOG|WARNING|ERROR): )( (?:check|send|keepalive) .*\n)`)
	oldBars = regexp.MustCompile(`(?m)^(Progress: \[[^\r\n]*\r)+`)
	rules   = regexp.MustCompile(`={20,}`)
	padding = regexp.MustCompile(` {2,}`)
)

// plain is a result with the substitutions made.
type plain struct {
	exit                     int
	stdout, stderr, receiver string
}

// sorted has the lines in the order of their texts.
func (p plain) sorted() plain {
	sort := func(text string) string {
		lines := strings.SplitAfter(text, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	p.stdout, p.stderr = sort(p.stdout), sort(p.stderr)
	return p
}

// positions are the substitutions that a score may switch off, where the WAL is
// as recorded.
var positions = map[string]bool{"WAL segment": true, "WAL position": true, "transaction": true}

func substitute(r Result, keep map[string]bool) plain {
	p := plain{exit: r.Exit}
	replaceAll := func(text string) string { return replaceAll(text, keep) }
	p.stdout = replaceAll(oldBars.ReplaceAllString(r.Stdout, ""))
	switch {
	case IsHelp(p.stdout):
		p.stdout = Skeleton(p.stdout)
	case rules.MatchString(p.stdout):
		// The widths of columns follow from their values.
		p.stdout = padding.ReplaceAllString(rules.ReplaceAllString(p.stdout, "==="), " ")
	}
	text := torn.ReplaceAllString(stamp.ReplaceAllString(r.Stderr, ""), "$2$1")
	text = optional.ReplaceAllString(text, "")
	lines := receiver.FindAllString(text, -1)
	text = Fold(receiver.ReplaceAllString(text, ""))
	for i := range lines {
		lines[i] = replaceAll(lines[i])
	}
	slices.Sort(lines)
	p.receiver = strings.Join(slices.Compact(lines), "")
	p.stderr = replaceAll(text)
	return p
}

func replaceAll(text string, keep map[string]bool) string {
	for _, s := range substitutions {
		if keep[s.what] {
			continue
		}
		text = s.pattern.ReplaceAllString(text, s.with)
	}
	return text
}

// folded are lines that come in runs, one or two per file.
var folded = regexp.MustCompile(`^(?:INFO: (Progress: )\(\d+/\d+\)\. (\w+ file)|WARNING: (Cannot open header file1|Cannot get page headers for file)) "`)

// Fold leaves one line of each kind out of a run of lines about files.
func Fold(text string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, line := range strings.SplitAfter(text, "\n") {
		m := folded.FindStringSubmatch(line)
		if m == nil {
			clear(seen)
		} else {
			kind := m[1] + m[2] + m[3]
			if seen[kind] {
				continue
			}
			seen[kind] = true
		}
		b.WriteString(line)
	}
	return b.String()
}

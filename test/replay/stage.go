package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gsprobackup/internal/wal"
	"gsprobackup/test/golden"
	"gsprobackup/test/opengaussd"
)

// cliData has recorded files that the tests of internal/cli need too.
const cliData = "../../internal/cli/testdata"

func mkdirs(path string) error { return os.MkdirAll(path, 0o700) }

// symlink lets the machine's own real path lead back to its root.
func symlink(_ string, m golden.Machine) error { return os.Symlink(m.Dir, m.Path(m.Dir)) }

// stage follows a direction, which sets up what the recording takes for
// granted. Words that are paths are the machine's.
//
//	mkdir|rm PATH           touch PATH          append PATH WORDS…
//	write PATH TEXT         replace PATH OLD NEW        cut PATH (its last line)
//	bash COMMAND
//	pgdata PATH             a data directory with the recorded pg_control
//	started PATH REDO       a restored server ran there up to a checkpoint
//	unpack NAME PATH        control files of a recorded catalog
//	small NAME              a catalog of test/golden, where it was recorded
//	like DIR FROM TO START RECOVERY   a backup like another one
//	merging DIR FULL… DEST  statuses of a chain that C could not merge
//	wal DIR FROM-TO…        empty segments of timeline 1
//	run WORDS…              the tool with these words, which must succeed
//	server | mutate | stop  the stand-in; a step of its cluster's life
//	stuck SQL ANSWER        the server does not answer such a statement; what it
//	                        answers to another one
//	log WORDS…              what SQL wrote into the WAL (see log.go)
//	archive PATH FROM       finished segments, as the server's archiver does
//	cbm off|on              changed block tracking stands still, or goes on
//	interrupt REGEXP        the next command gets an INT after that message
//	env NAME [VALUE]        clock "TIME" (UTC)
func (w *world) stage(words []string) {
	w.t.Helper()
	at := func(i int) string { return w.m.Path(words[i]) }
	switch words[0] {
	case "mkdir":
		w.must(mkdirs(at(1)))
	case "rm":
		w.must(os.RemoveAll(at(1)))
	case "touch":
		w.must(os.WriteFile(at(1), nil, 0o600))
	case "write":
		w.must(mkdirs(filepath.Dir(at(1))))
		w.must(os.WriteFile(at(1), []byte(words[2]), 0o600))
	case "append":
		w.edit(at(1), func(s string) string { return s + strings.Join(words[2:], " ") + "\n" })
	case "replace":
		w.edit(at(1), func(s string) string {
			if !strings.Contains(s, words[2]) {
				w.t.Fatalf("%q: nothing to replace", words)
			}
			return strings.ReplaceAll(s, words[2], words[3])
		})
	case "cut":
		w.edit(at(1), func(s string) string {
			lines := strings.SplitAfter(s, "\n")
			return strings.Join(lines[:len(lines)-2], "")
		})
	case "bash":
		r, err := w.bash(words[1])
		w.must(err)
		if r.Exit != 0 {
			w.t.Fatalf("%q: exit %d: %s", words, r.Exit, r.Stderr)
		}
	case "env":
		if len(words) == 3 {
			w.env[words[1]] = words[2]
		} else {
			delete(w.env, words[1])
		}
	case "run":
		if r := w.run(words, nil, false); r.Exit != 0 {
			w.t.Fatalf("%q: exit %d: %s", words, r.Exit, r.Stderr)
		}
	default:
		w.scene(words)
	}
}

// scene follows the directions that bring something recorded or a server.
func (w *world) scene(words []string) {
	w.t.Helper()
	at := func(i int) string { return w.m.Path(words[i]) }
	switch words[0] {
	case "pgdata":
		w.must(mkdirs(filepath.Join(at(1), "global")))
		control, err := golden.ReadControlFile(filepath.Join(cliData, "pg_control.hex"))
		w.must(err)
		w.must(os.WriteFile(filepath.Join(at(1), "global/pg_control"), control, 0o600))
	case "started":
		w.must(started(at(1), words[2]))
	case "unpack":
		w.must(mkdirs(filepath.Join(at(2), "wal/n1")))
		files, err := golden.ReadFiles(filepath.Join(cliData, "catalogs", words[1]+".txtar"))
		w.must(err)
		for name, data := range files {
			name = filepath.Join(at(2), name)
			w.must(mkdirs(filepath.Dir(name)))
			w.must(os.WriteFile(name, []byte(data), 0o600))
		}
	case "small":
		w.must(golden.Lay(w.m, words[1]))
	case "like":
		from, to := filepath.Join(at(1), words[2], "backup.control"), filepath.Join(at(1), words[3], "backup.control")
		data, err := os.ReadFile(from)
		w.must(err)
		text := string(data)
		for i, key := range []string{"start-time", "recovery-time"} {
			text = regexp.MustCompile(key+" = .*").ReplaceAllString(text, key+" = '"+words[4+i]+"+00'")
		}
		w.must(mkdirs(filepath.Dir(to)))
		w.must(os.WriteFile(to, []byte(text), 0o600))
	case "merging":
		for i, id := range words[2:] {
			w.edit(filepath.Join(at(1), id, "backup.control"), func(s string) string {
				s = strings.Replace(s, "status = OK", "status = MERGING", 1)
				if i == 0 {
					s = regexp.MustCompile("(?m)^recovery-name = .*\n").ReplaceAllString(s, "${0}merge-dest-id = '"+words[len(words)-1]+"'\n")
				}
				return s
			})
		}
	case "wal":
		w.must(mkdirs(at(1)))
		for _, r := range words[2:] {
			w.must(makeSegments(at(1), r))
		}
	case "server":
		for _, setting := range words[1:] {
			w.configure(setting)
		}
		w.must(w.startServer())
	case "mutate":
		w.steps++
		w.must(w.cluster.Mutate(w.steps))
		w.age()
	case "log":
		w.must(w.log(words[1:]))
	case "archive":
		w.must(w.archive(at(1), words[2]))
	case "clock":
		to, err := time.Parse(time.DateTime, words[1])
		w.must(err)
		w.setClock(to)
	case "cbm":
		if w.server.Heal(); words[1] == "off" {
			w.server.SlowCBM(-1)
		}
	case "interrupt":
		re, err := regexp.Compile(words[1])
		w.must(err)
		w.interrupt = re
	case "stuck":
		w.server.Inject(opengaussd.Fault{On: words[1], Times: 1, Hold: make(chan struct{})})
		w.server.Inject(opengaussd.Fault{On: words[1], Err: &opengaussd.Error{State: "55000", Message: words[2]}})
	case "stop":
		w.must(w.server.Close())
	default:
		w.t.Fatalf("no such direction: %q", words)
	}
}

func (w *world) configure(setting string) {
	name, value, _ := strings.Cut(setting, "=")
	switch name {
	case "slot":
		w.config.Slots = append(w.config.Slots, value)
	case "bare":
		w.bare = true
	case "plain":
		w.plain = true
	case "archive":
		w.config.ArchiveMode = true
	case "wal":
		n, err := strconv.ParseUint(value, 16, 64)
		w.must(err)
		w.walStart = wal.LSN(n)
	case "xid":
		n, err := strconv.ParseUint(value, 10, 64)
		w.must(err)
		w.nextXID = n
	default:
		w.t.Fatalf("no such setting: %s", setting)
	}
}

func (w *world) edit(path string, change func(string) string) {
	w.t.Helper()
	data, err := os.ReadFile(path)
	w.must(err)
	w.must(os.WriteFile(path, []byte(change(string(data))), 0o600))
}

// makeSegments makes empty segments of 16 MiB, "13-1D" of timeline 1.
func makeSegments(dir, span string) error {
	first, last, _ := strings.Cut(span, "-")
	from, err := strconv.ParseUint(first, 16, 32)
	if err != nil {
		return err
	}
	to, err := strconv.ParseUint(last, 16, 32)
	if err != nil {
		return err
	}
	for n := from; n <= to; n++ {
		name := filepath.Join(dir, fmt.Sprintf("00000001%016X", n))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(name, 16<<20); err != nil {
			return err
		}
	}
	return nil
}

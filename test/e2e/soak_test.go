package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// soakVar says for how long TestSoak runs, such as 5m.
const soakVar = "E2E_SOAK"

// soakTime is enough for a few dozen commands.
const soakTime = 15 * time.Second

// soaker runs commands at random against one catalog, several at a time.
type soaker struct {
	*catalog
	mu     sync.Mutex
	counts map[string]int // by command and outcome
	bad    []string
}

// outcome is what a command may say when another one was in its way.
type outcome struct {
	name string
	re   *regexp.Regexp
}

var outcomes = []outcome{
	{"locked", regexp.MustCompile(`ERROR: (Cannot lock backup \w+( directory)?\b|Could not create lock file "\S+": No such file)`)},
	// Unfinished and failed backups are not valid; see also damage.
	{"beside unfinished ones", regexp.MustCompile(`WARNING: Some backups (weren't locked and they were skipped|are not valid)`)},
	{"changed meanwhile", regexp.MustCompile(`ERROR: Backup \w+ (was changed by another process|was started on top of backup|has status|, which)|ERROR: Backup \w+, which backup \w+ is based on`)},
	{"gone meanwhile", regexp.MustCompile(`ERROR: (Failed to find backup|Target backup \w+ was not found|Requested backup \w+ is not found|Backup \w+ is not found|There are no|Failed to find parent full backup for|Failed to get file list for backup|Backup file list|Backup \w+ was deleted meanwhile|Failed to find full backup that has unfinished merge)`)},
	{"being taken", regexp.MustCompile(`WARNING: Backup \w+ has status: RUNNING\b`)},
	{"refused", regexp.MustCompile(`ERROR: (Merge target is full backup and has multiple direct children|Failed to find merge candidate|Backup \w+ is based on a backup that would be merged|Backup \w+ is part of the unfinished merge|Full backup \w+ has unfinished merge|Create new full backup before an incremental one)`)},
}

// damage is what nobody may say.
var damage = regexp.MustCompile(`CORRUPT|[Cc]orrupted|is corrupt|Invalid (CRC|size)|ORPHAN|is orphaned|panic:`)

func (s *soaker) do(name string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	cmd := tool(ctx, append([]string{name, "-B", s.dir}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	what := "ok"
	bad := err != nil
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		for _, o := range outcomes {
			if o.re.MatchString(stderr.String()) {
				what, bad = o.name, false
				break
			}
		}
	}
	bad = bad || damage.Match(stderr.Bytes())
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad {
		what = "failed"
		s.bad = append(s.bad, fmt.Sprintf("%v\n%s%s%v", err, shorten(stdout.String()), shorten(stderr.String()), cmd.Args[1:]))
	}
	s.counts[name+" "+what]++
}

// ids are the backups there are, newest first.
func (s *soaker) ids() []backupInfo {
	out, err := tool(context.Background(), "show", "-B", s.dir, "--instance", s.instance, "--format=json").Output()
	if err != nil {
		return nil // counted where show is one of the commands
	}
	var doc struct {
		Info []struct {
			Backups []backupInfo `json:"backups"`
		} `json:"backup_info"`
	}
	if json.Unmarshal(out, &doc) != nil || len(doc.Info) == 0 {
		return nil
	}
	return doc.Info[0].Backups
}

// one runs one command.
func (s *soaker) one(rnd *rand.Rand, restoreDir string) {
	all := s.ids()
	in := []string{"--instance", s.instance}
	id := "ABCDEF" // none has it
	if len(all) > 0 {
		id = all[rnd.IntN(len(all))].ID
	}
	on := []string{"--instance", s.instance, "-i", id}
	pick := rnd.IntN(100)
	if len(all) > 14 && pick < 40 {
		pick = 60 + rnd.IntN(12) // make room
	}
	switch {
	case pick < 40:
		mode := "ptrack"
		if len(all) == 0 || rnd.IntN(6) == 0 {
			mode = "full"
		}
		alg := []string{"none", "none", "zlib", "lz4"}[rnd.IntN(4)]
		s.do("backup", s.incrementArgs(mode, "--compress-algorithm", alg, "--no-sync")[3:]...)
	case pick < 54:
		s.do("merge", append(on, "-j", "2")...)
	case pick < 62:
		s.do("delete", on...)
	case pick < 67:
		s.do("delete", append(in, "--delete-expired", "--retention-redundancy=2", "--delete-wal")...)
	case pick < 72:
		s.do("delete", append(in, "--merge-expired", "--delete-expired", "--retention-redundancy=2")...)
	case pick < 80:
		s.do("validate", in...)
	case pick < 86:
		s.do("validate", on...)
	case pick < 92:
		s.do("restore", append(on, "-D", restoreDir, "--no-sync")...)
		if err := os.RemoveAll(restoreDir); err != nil {
			s.t.Error(err)
		}
	case pick < 96:
		s.do("show")
	default:
		s.do("set-backup", append(on, "--note", "soaked")...)
	}
}

// Commands at random against one instance, four at a time: what is in the way
// of another is refused with the words for that, nothing is damaged, nothing
// stays unfinished, and what is there in the end restores.
func TestSoak(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	span := soakTime
	if text := os.Getenv(soakVar); text != "" {
		var err error
		if span, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	src := pgtest.Start(t, pgtest.Config{Major: 17, DataChecksums: true, WALSegSizeMB: 1, Settings: map[string]string{
		"summarize_wal": "on", "wal_keep_size": "512MB",
	}})
	s := &soaker{catalog: newCatalog(t, src), counts: map[string]int{}}
	shape := newShaper(t, src, 7)
	shape.fixedSpaces = true // restores would need -T
	shape.many(ctx, 12)
	stop := make(chan struct{})
	shaping := shape.during(ctx, stop)
	var wg sync.WaitGroup
	dir := pgtest.TempDir(t)
	end := time.Now().Add(span)
	for worker := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(span), uint64(worker)))
			for n := 0; time.Now().Before(end); n++ {
				s.one(rnd, fmt.Sprintf("%s/restored%d", dir, worker))
			}
		})
	}
	wg.Wait()
	close(stop)
	if err := <-shaping; err != nil {
		t.Fatal(err)
	}
	for _, text := range s.bad {
		t.Error(text)
	}
	var figures []string
	for name, n := range s.counts {
		figures = append(figures, fmt.Sprintf("%s: %d", name, n))
	}
	slices.Sort(figures)
	t.Logf("%v: %s", span, strings.Join(figures, ", "))
	s.settled(shape)
}

// settled looks at what there is in the end.
func (s *soaker) settled(shape *shaper) {
	s.t.Helper()
	s.ok(s.incrementArgs("full")...)                                        // whatever else there is
	s.ok("delete", "-B", s.dir, "--instance", s.instance, "--status=ERROR") // without a parent, or it was lost meanwhile
	s.ok("validate", "-B", s.dir, "--instance", s.instance, "-j", "2")
	s.checkFormat(checker.Options{OnlyFinished: true})
	var good []backupInfo
	for _, b := range s.list() {
		if b.Status != "OK" {
			s.t.Errorf("backup %s is left as %s", b.ID, b.Status)
			continue
		}
		good = append(good, b)
	}
	for i, b := range good {
		if i < 3 {
			checkSeed(s.t.(*testing.T), s.catalog, shape, b)
		}
	}
}

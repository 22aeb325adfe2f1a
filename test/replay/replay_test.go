package replay

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTranscripts plays every recording of the real tool. What comes out must
// be what was recorded, but for the substitutions and the differences that the
// scores list; a command is left out only with a reason.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d transcripts: %v", len(files), err)
	}
	for _, name := range files {
		play := func(name, score string) {
			t.Run(filepath.Base(score), func(t *testing.T) {
				t.Parallel()
				playTranscript(t, name+".txt", score+".score")
			})
		}
		name = strings.TrimSuffix(name, ".txt")
		play(name, name)
		others, err := filepath.Glob(name + "@*.score")
		if err != nil {
			t.Fatal(err)
		}
		for _, score := range others {
			play(name, strings.TrimSuffix(score, ".score"))
		}
	}
}

func playTranscript(t *testing.T, transcript, scoreName string) {
	steps, err := Read(transcript)
	if err != nil {
		t.Fatal(err)
	}
	score, err := ReadScore(scoreName)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	recorded := map[int]Step{}
	for _, s := range steps {
		recorded[s.Number] = s
	}
	played, last := 0, 0
	for _, s := range steps {
		if score.LeavesOut(s.Number) {
			continue
		}
		// Directions may belong to recorded SQL, which is no step.
		for n := last + 1; n <= s.Number; n++ {
			for _, words := range score.Directions(n, n == s.Number && toolCommand.MatchString(s.Command)) {
				w.stage(words)
			}
		}
		last = s.Number
		if score.Skipped(s.Number) != "" || s.Around() {
			continue
		}
		w.expect(s)
		got, err := w.play(score.Command(s))
		if err != nil {
			t.Errorf("[%03d] %s: %v", s.Number, clip(s.Command), err)
			continue
		}
		played++
		s.Result = recorded[score.As(s.Number)].Result
		compare(t, s, got, score)
	}
	for _, u := range score.Unused() {
		t.Errorf("not needed: %s", u)
	}
	t.Logf("%d of %d commands played", played, len(steps))
}

func compare(t *testing.T, s Step, got Result, score *Score) {
	t.Helper()
	make := func(r Result) plain { return substitute(r, nil) }
	switch {
	case score.Exact(s.Number):
		make = func(r Result) plain { return plain{exit: r.Exit, stdout: r.Stdout, stderr: r.Stderr} }
	case score.Positions(s.Number):
		make = func(r Result) plain { return substitute(r, positions) }
	}
	g, want := score.Counts(s.Number, make(got)), score.Expect(s.Number, make(s.Result))
	if score.Unordered(s.Number) {
		g, want = g.sorted(), want.sorted()
	}
	if g == want {
		return
	}
	t.Errorf("[%03d] %s", s.Number, clip(s.Command))
	if g.exit != want.exit {
		t.Errorf("  exit %d, want %d", g.exit, want.exit)
	}
	diffLines(t, "stdout", g.stdout, want.stdout)
	diffLines(t, "stderr", g.stderr, want.stderr)
	diffLines(t, "receiver", g.receiver, want.receiver)
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// diffLines reports the first lines in which got and want differ.
func diffLines(t *testing.T, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	line := func(l []string, i int) string {
		if i < len(l) {
			return l[i]
		}
		return "<end>"
	}
	for i := 0; i < len(g) || i < len(w); i++ {
		if line(g, i) != line(w, i) {
			t.Errorf("  %s, line %d:\n got %q\nwant %q", what, i+1, line(g, i), line(w, i))
			return
		}
	}
}

package cli

import (
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"gsprobackup/internal/compat"
)

// programVersion is the version the C tool has inside, in control files, in
// the agent's handshake and in the first message of a backup; it never moved
// from 1.1.0 to 7.0.0-RC2 (spec/cli.md, preface).
const programVersion = "2.4.2"

// Build identifies the binary.
type Build struct {
	Hash string // 8 hexadecimal digits
	Date string // "YYYY-MM-DD HH:MM:SS"
}

// ReadBuild completes what the linker was given with what the Go tool
// recorded.
func ReadBuild(hash, date string) Build {
	b := Build{Hash: hash, Date: date}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Hash == "" && len(s.Value) >= 8:
				b.Hash = s.Value[:8]
			case s.Key == "vcs.time" && b.Date == "":
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					b.Date = t.UTC().Format(time.DateTime)
				}
			}
		}
	}
	if b.Hash == "" {
		b.Hash = "00000000"
	}
	if b.Date == "" {
		b.Date = "1970-01-01 00:00:00"
	}
	return b
}

// printVersion writes the version line (spec/cli.md §1.2). It ends in a blank
// like the C tool's; nothing behind the hash is meant to be parsed.
func printVersion(w io.Writer, b Build, p compat.Profile) error {
	_, err := fmt.Fprintf(w, "gs_probackup (openGauss %s build %s) compiled at %s commit 0 last mr \n", p.Release, b.Hash, b.Date)
	return err
}

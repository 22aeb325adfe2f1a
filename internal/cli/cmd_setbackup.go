package cli

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
)

func setBackupCommand(s *session) *cobra.Command {
	rules := commandRules{name: "set-backup", takesID: true, pins: true, logged: true, acts: true}
	return newCommand("set-backup", "pin a backup, or change its note", s.command(rules, func(ctx context.Context, r *request) error {
		if r.ID == 0 {
			return usererr.New("You must specify parameter (-i, --backup-id) for 'set-backup' command")
		}
		if !r.Pin.any() && r.S3Status == "" {
			return usererr.New("Nothing to set by 'set-backup' command")
		}
		return s.setBackup(ctx, r)
	}))
}

// setBackup changes one backup in the C tool's order: pin, note, S3 status.
// The control file is written once, when everything is known to be good. Like
// the C tool it takes no lock (spec/cli.md §6).
func (s *session) setBackup(ctx context.Context, r *request) error {
	list, err := r.instance.Backups(ctx)
	if err != nil {
		return err
	}
	b := list.ByID(r.ID)
	if b == nil || b.Unreadable {
		return usererr.New("Failed to find backup %s", r.ID)
	}
	var messages []func()
	say := func(f func()) { messages = append(messages, f) }
	changed := *b
	if err := s.changePin(&changed, r.Pin, say); err != nil {
		return err
	}
	if r.Pin.Note != "" {
		if err := s.changeNote(&changed, r.Pin.Note, say); err != nil {
			return err
		}
	}
	switch { // anything else is ignored, as in the C tool
	case strings.EqualFold(r.S3Status, "s3"):
		changed.S3Status = catalog.S3Remote
	case strings.EqualFold(r.S3Status, "local"):
		changed.S3Status = catalog.S3Local
	}
	err = r.instance.UpdateControl(b, func(fresh *catalog.Backup) {
		if r.Pin.pins() {
			fresh.ExpireTime = changed.ExpireTime
		}
		if r.Pin.Note != "" {
			fresh.Note = changed.Note
		}
		if r.S3Status != "" {
			fresh.S3Status = changed.S3Status
		}
	})
	switch {
	case err != nil && r.instance.Gone(b):
		return catalog.DeletedError(b, err)
	case err != nil:
		return err
	}
	for _, m := range messages {
		m()
	}
	return nil
}

// lastYear is the last year of which a time can be written and read again. The
// C tool stores later ones and cannot read the file again (§13 row 2).
const lastYear = 9999

func (s *session) changePin(b *catalog.Backup, pin pinOptions, say func(func())) error {
	until := pin.Expire
	switch {
	case !pin.pins():
		return nil
	case pin.TTLGiven:
		if b.RecoveryTime.IsZero() {
			return usererr.New("Failed to set 'expire-time' for backup %s: invalid 'recovery-time'", b.ID)
		}
		if pin.TTL == 0 {
			s.unpin(b, say)
			return nil
		}
		if pin.TTL > math.MaxInt64-b.RecoveryTime.Unix() {
			return tooFar(b)
		}
		until = time.Unix(b.RecoveryTime.Unix()+pin.TTL, 0)
	case b.RecoveryTime.IsZero():
		return usererr.New("Failed to set 'expire-time' for backup %s: invalid 'recovery-time'", b.ID)
	}
	if y := until.In(s.env.Location).Year(); y > lastYear || y < 1970 {
		return tooFar(b)
	}
	b.ExpireTime = until
	say(func() { s.console.pinned(b.ID.String(), until) })
	return nil
}

func tooFar(b *catalog.Backup) error {
	return usererr.New("Failed to set 'expire-time' for backup %s: the time is after the year %d", b.ID, lastYear)
}

func (s *session) unpin(b *catalog.Backup, say func(func())) {
	if b.ExpireTime.IsZero() {
		say(func() { s.console.warn("Backup %s is not pinned, nothing to unpin", b.ID) })
		return
	}
	b.ExpireTime = time.Time{}
	say(func() { s.console.info("Backup %s is unpinned", b.ID) })
}

// noteNone, in any case, removes a note.
const noteNone = "none"

// noteText is what is stored of a note: its first line, or nothing. A note that
// starts with a line feed has none; the C tool then stores memory it never
// wrote (§13 row 13).
func noteText(note string) (line string, remove bool, err error) {
	if strings.EqualFold(note, noteNone) {
		return "", true, nil
	}
	line, _, _ = strings.Cut(note, "\n")
	if _, err := optvalue.ParseString(line); err != nil {
		return "", false, usererr.Wrap(err, "Option --note should be a valid string: '%s'", line)
	}
	return line, false, nil
}

func (s *session) changeNote(b *catalog.Backup, note string, say func(func())) error {
	line, remove, err := noteText(note)
	if err != nil {
		return err
	}
	b.Note = line
	say(func() {
		if remove {
			s.console.noteRemoved(b.ID)
		} else {
			s.console.info("Adding note to backup %s: '%s'", b.ID, line)
		}
	})
	return nil
}

package cli

import (
	"regexp"
	"strconv"
	"time"

	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// checkTarget is step 13: the recovery target options of restore and validate
// (spec/cli.md §4.6).
func (s *session) checkTarget(rules commandRules, r *request) error {
	if !rules.takesTarget {
		return nil
	}
	t, err := s.parseTarget(r.options.Target)
	if err != nil {
		return err
	}
	if err := t.Check(); err != nil {
		return err
	}
	r.Recovery = t
	if rules.name == "validate" && r.Force {
		return usererr.New("You cannot specify \"--force\" flag with the \"%s\" command", rules.name)
	}
	return nil
}

func (s *session) parseTarget(o targetOptions) (restore.Target, error) {
	t := restore.Target{
		XIDText: o.XID, LSNText: o.LSN, Name: o.Name, Immediate: o.Immediate, Latest: o.Latest,
		Timeline: wal.Timeline(o.Timeline), NewestTimeline: o.NewestTimeline,
	}
	var err error
	if o.Time != "" {
		if err := s.parseTargetTime(&t, o.Time); err != nil {
			return t, usererr.Wrap(err, "Invalid value for '--recovery-target-time' option '%s'", o.Time)
		}
	}
	if o.XID != "" {
		if t.XID, err = optvalue.ParseUint64(o.XID, optvalue.NoUnit); err != nil {
			return t, usererr.Wrap(err, "Invalid value for '--recovery-target-xid' option '%s'", o.XID)
		}
	}
	if o.LSN != "" {
		if t.LSN, err = wal.ParseLSN(o.LSN); err != nil {
			return t, usererr.Wrap(err, "invalid LSN \"%s\"", o.LSN)
		}
	}
	if o.Inclusive != "" {
		v, err := optvalue.ParseBool(o.Inclusive)
		if err != nil {
			return t, usererr.Wrap(err, "Invalid value for '--recovery-target-inclusive' option '%s'", o.Inclusive)
		}
		t.Inclusive = &v
	}
	return t, nil
}

// plainTime is a time that server and tool cannot but read alike.
var plainTime = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:?\d\d)?$`)

// fraction finds fractions of a second, which C's readers do not know.
var fraction = regexp.MustCompile(`^(.*\d:\d\d:\d\d)\.(\d{1,6})(\D.*)?$`)

// parseTargetTime reads a target time. The server gets it as it was typed if
// there is no doubt about it, else as it was understood here: its own time zone
// and rules for incomplete dates may be others.
func (s *session) parseTargetTime(t *restore.Target, text string) error {
	seconds, micros := text, ""
	if m := fraction.FindStringSubmatch(text); m != nil {
		seconds, micros = m[1]+m[3], m[2]
	}
	at, err := optvalue.ParseTime(seconds, s.env.Location)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi((micros + "000000")[:6]); err == nil {
		at = at.Add(time.Duration(n) * time.Microsecond)
	}
	t.Time, t.TimeText, t.TimeISO = at, text, optvalue.FormatTime(at, s.env.Location)
	if micros != "" {
		t.TimeISO = t.TimeISO[:19] + "." + micros + t.TimeISO[19:]
	}
	if !plainTime.MatchString(text) {
		t.TimeText = t.TimeISO
	}
	return nil
}

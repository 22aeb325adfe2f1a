package cli

import (
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
		TimeText: o.Time, XIDText: o.XID, LSNText: o.LSN, Name: o.Name,
		Immediate: o.Immediate, Timeline: wal.Timeline(o.Timeline),
	}
	var err error
	if o.Time != "" {
		if t.Time, err = optvalue.ParseTime(o.Time, s.env.Location); err != nil {
			return t, usererr.Wrap(err, "Invalid value for '--recovery-target-time' option '%s'", o.Time)
		}
	}
	if o.XID != "" {
		if t.XID, err = optvalue.ParseUint64(o.XID, optvalue.NoUnit); err != nil {
			return t, usererr.Wrap(err, "Invalid value for '--recovery-target-xid' option '%s'", o.XID)
		}
	}
	if o.Inclusive != "" {
		v, err := optvalue.ParseBool(o.Inclusive)
		if err != nil {
			return t, usererr.Wrap(err, "Invalid value for '--recovery-target-inclusive' option '%s'", o.Inclusive)
		}
		t.Inclusive = &v
	}
	if o.LSN != "" {
		if t.LSN, err = wal.ParseLSN(o.LSN); err != nil {
			return t, usererr.Wrap(err, "invalid LSN \"%s\"", o.LSN)
		}
	}
	return t, nil
}

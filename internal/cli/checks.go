package cli

import (
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// This file has the checks of steps 12 to 17 that every command runs over its
// options, used or not (spec/cli.md §2, §4.1).

// maxNote is the longest note in bytes.
const maxNote = 1024

// pinOptions are --ttl, --expire-time and --note after checking.
type pinOptions struct {
	TTL      int64 // seconds
	TTLGiven bool
	Expire   time.Time // zero if absent
	Note     string    // "" if absent
}

// any tells whether there is something to set.
func (p pinOptions) any() bool { return p.pins() || p.Note != "" }

// pins tells whether a pin is set or taken away.
func (p pinOptions) pins() bool { return p.TTLGiven || !p.Expire.IsZero() }

// checkID is step 12.
func (s *session) checkID(rules commandRules, r *request) error {
	if r.BackupID != "" {
		if !rules.takesID {
			return usererr.New("Cannot use -i (--backup-id) option together with the \"%s\" command", rules.name)
		}
		id, err := catalog.ParseID(r.BackupID)
		if err != nil {
			return err
		}
		r.ID = id
	}
	cfg := r.Config
	if cfg.PGHost == "" && cfg.RemoteProto == "ssh" && cfg.RemoteHost != "" {
		return cfg.Set(catalog.FindConfigOption("pghost"), cfg.RemoteHost, catalog.FromDefault)
	}
	return nil
}

// checkThreads is step 14.
func (s *session) checkThreads(_ commandRules, r *request) error {
	limit := uint64(10 * s.env.CPUs)
	if s.profile.ThreadLimit && uint64(r.Threads) > limit {
		return usererr.New("Invalid value for '-j' option: %d, the number of cores available is %d, more than 10 times is not allowed.", r.Threads, s.env.CPUs)
	}
	return nil
}

// checkPin is step 15.
func (s *session) checkPin(rules commandRules, r *request) error {
	if !rules.pins {
		return nil
	}
	if r.ExpireTime != "" && r.TTLGiven {
		return usererr.New("You cannot specify '--expire-time' and '--ttl' options together")
	}
	r.Pin = pinOptions{TTL: r.TTL, TTLGiven: r.TTLGiven, Note: r.Note}
	if r.ExpireTime != "" {
		t, err := optvalue.ParseTime(r.ExpireTime, s.env.Location)
		// Fields out of range roll over, also beyond the years that can be
		// stored (spec/cli.md §13 row 2).
		if err != nil || t.Year() > lastYear {
			return usererr.Wrap(err, "Invalid value for '--expire-time' option: '%s'", r.ExpireTime)
		}
		// A time at or before the epoch counts as absent.
		if t.Unix() > 0 {
			r.Pin.Expire = t
		}
	}
	if len(r.Note) > maxNote {
		return usererr.New("Backup note cannot exceed %d bytes", maxNote)
	}
	return nil
}

// checkValidation rejects options that contradict validate. (In the C tool
// --force is step 13 and --no-validate step 15.)
func (s *session) checkValidation(rules commandRules, r *request) error {
	if rules.name == "validate" && r.NoValidate {
		return usererr.New("You cannot specify \"--no-validate\" option with the \"%s\" command", rules.name)
	}
	if rules.acts && r.DryRun {
		return usererr.New("You cannot specify \"--dry-run\" flag with the \"%s\" command", rules.name)
	}
	if r.Force {
		r.NoValidate = true
	}
	switch {
	case len(r.IncludeDatabases) > 0 && len(r.ExcludeDatabases) > 0:
		return usererr.New("You cannot specify '--db-include' and '--db-exclude' together")
	case len(r.IncludeDatabases)+len(r.ExcludeDatabases) > 0 && rules.name != "restore":
		return usererr.New("You cannot specify '--db-include' or '--db-exclude' with the \"%s\" command", rules.name)
	}
	return nil
}

// checkCompression is step 16. It runs for every command, so a bad value in
// the config file is reported even by show.
func (s *session) checkCompression(rules commandRules, r *request) error {
	cfg := r.Config
	if r.Compress {
		// Beats --compress-algorithm in either order.
		if err := cfg.Set(catalog.FindConfigOption("compress-algorithm"), "zlib", catalog.FromCommandLine); err != nil {
			return err
		}
	}
	// set-config only looks at what it is given, so that a file in which the
	// C tool left a level alone can still be mended (spec/cli.md §13 row 14).
	stored := rules.loneLevel && cfg.Source(catalog.FindConfigOption("compress-level")) != catalog.FromCommandLine
	if cfg.CompressLevel != 1 && cfg.CompressAlgorithm == compress.Undefined && !stored {
		return usererr.New("Cannot specify compress-level option alone without compress-algorithm option")
	}
	if cfg.CompressLevel > 9 {
		return usererr.New("--compress-level value must be in the range from 0 to 9")
	}
	switch {
	case cfg.CompressAlgorithm == compress.Zlib && cfg.CompressLevel == 0:
		s.log.Log(logging.Warning, "Compression level 0 will lead to data bloat!")
	case cfg.CompressAlgorithm == compress.LZ4 && cfg.CompressLevel > 1:
		s.log.Log(logging.Warning, "Compression level will be set to 1 due to lz4 only supports level 0 and 1!")
	}
	return nil
}

// checkMissingParts is step 17: what the C tool can and this build cannot is
// refused, never ignored.
func (s *session) checkMissingParts(rules commandRules, r *request) error {
	cfg := r.Config
	if r.Media == mediaS3 {
		if cfg.Endpoint == "" || cfg.AccessBucket == "" || cfg.AccessID == "" || cfg.AccessKey == "" {
			return usererr.New("Required parameter not specified: S3(--endpoint, --access_bucket, --access_id or --access_key)")
		}
		if s.neverOnS3(rules, r) {
			return usererr.New("Not supported when specifying S3 options")
		}
		return notBuiltIn("Object storage (--media-type=s3)")
	}
	if rules.needsDSS && cfg.SharedStorage() {
		return validate.ErrSharedStorage
	}
	if r.Encryption.GenKey && rules.name != "backup" {
		return usererr.New("only backup can use --gen-key command.")
	}
	// The C tool ignores --with-encryption without --with-device-params and
	// stores a plain backup (spec/cli.md §13 row 11).
	if r.Encryption.any() {
		return notBuiltIn("Encryption (--with-encryption)")
	}
	return nil
}

// neverOnS3 tells whether the C tool cannot do it on object storage either.
func (s *session) neverOnS3(rules commandRules, r *request) bool {
	retention := s.retentionSettings(r).any() && r.ID == 0 && r.Status == ""
	return rules.name == "merge" || retention && (rules.name == "delete" || rules.name == "backup")
}

// notBuiltIn is the error for a part this binary does not have.
func notBuiltIn(what string) error {
	return usererr.New("%s is not built into this binary", what)
}

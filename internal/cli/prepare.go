package cli

import (
	"context"
	"path/filepath"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

// This file is the way from words to a checked request, the same for every
// command. The order of its steps is the C tool's (spec/cli.md §2): it decides
// which of several faults is reported.

// commandRules are the few differences between commands in that way.
type commandRules struct {
	name string
	// noInstance commands work without --instance.
	noInstance bool
	// creates the instance: its directory and config need not be there.
	creates bool
	// readsConfig is false for add-instance only.
	skipsConfig bool
	// takesID allows -i.
	takesID bool
	// takesTarget parses the recovery target options.
	takesTarget bool
	// pins checks --ttl, --expire-time, --note.
	pins bool
	// logged commands start the log file with their command line.
	logged bool
	// needsDSS commands cannot work on shared storage in this build.
	needsDSS bool
	// shows commands print and do nothing else: they end with their reader.
	shows bool
	// acts commands have no dry run; the C tool ignores the option and acts
	// (spec/cli.md §13 row 7).
	acts bool
	// loneLevel accepts a stored compression level without algorithm.
	loneLevel bool
}

// request is a checked command line with the instance's settings.
type request struct {
	*options
	Catalog string // absolute
	Config  *catalog.Config
	// instance is nil without --instance and for commands that create it.
	instance *catalog.Instance
	// ID is the backup chosen with -i, 0 for none.
	ID catalog.ID
	// Recovery is the target of restore and validate.
	Recovery restore.Target
	// Pin is what --ttl, --expire-time and --note ask for.
	Pin pinOptions
}

// command makes the run function of a sub-command: prepare, then work.
func (s *session) command(rules commandRules, work func(context.Context, *request) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		r, err := s.prepare(ctx, rules, args)
		if err != nil {
			return err
		}
		if !rules.shows {
			defer s.outliveReaders()()
		}
		err = work(ctx, r)
		s.succeeded = err == nil
		return err
	}
}

// prepare performs steps 2 to 17.
func (s *session) prepare(ctx context.Context, rules commandRules, args []string) (*request, error) {
	r := &request{options: &s.opts, Config: catalog.NewConfig()}
	if err := s.readCommandLine(ctx, rules, r, args); err != nil {
		return nil, err
	}
	if err := s.startMetrics(rules, r); err != nil {
		return nil, err
	}
	if err := s.findCatalog(rules, r); err != nil {
		return nil, err
	}
	if r.Instance != "" {
		if err := s.readInstance(rules, r); err != nil {
			return nil, err
		}
	}
	if err := s.configureLog(rules, r); err != nil {
		return nil, err
	}
	if fault := s.logFault.Load(); fault != nil {
		return nil, *fault // before anything is begun
	}
	for _, check := range []func(commandRules, *request) error{
		s.checkData, s.checkID, s.checkTarget, s.checkThreads, s.checkPin, s.checkValidation,
		s.checkCompression, s.checkMissingParts,
	} {
		if err := check(rules, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readCommandLine is steps 2 to 5.
func (s *session) readCommandLine(ctx context.Context, rules commandRules, r *request, args []string) error {
	const firstWord = 2 // program and sub-command come before
	_, posix := s.env.LookupEnv("POSIXLY_CORRECT")
	secrets, err := parseOptions(s.args[0], args, posix, s.profile, r.options, r.Config)
	s.maskSecrets(secrets, firstWord)
	s.log.SetFormat(r.LogFormat)
	if err != nil {
		return err
	}
	s.console.perFile = r.Progress
	s.console.slot = r.Slot
	s.console.threads = r.threads()
	s.console.explain = r.Explain
	s.console.hints = s.console.hints || r.Hints
	if r.given["password"] && r.NoPassword {
		return usererr.New("You cannot specify --password and --no-password options together")
	}
	if len(r.TablespaceMap) > 0 && len(r.ExternalMap) == 0 && !s.maySpareExternals(ctx, rules, r) {
		return usererr.New("If specify --tablespace-mapping option, you must specify --external-mapping option together")
	}
	if r.Help {
		if err := s.helpFor(rules.name); err != nil {
			return err
		}
		return errHelpShown
	}
	return nil
}

// catalogPath is where the catalog shall be, if anything says so.
func (s *session) catalogPath(r *request) (string, bool) {
	path, ok := r.BackupPath, true
	if path == "" {
		path, ok = s.env.LookupEnv("BACKUP_PATH")
	}
	return physicalPath(canonicalPath(path)), ok
}

// findCatalog is steps 6 to 8.
func (s *session) findCatalog(rules commandRules, r *request) error {
	path, ok := s.catalogPath(r)
	if !ok {
		return usererr.New("required parameter not specified: BACKUP_PATH (-B, --backup-path)")
	}
	r.Catalog = path
	if !strings.HasPrefix(r.Catalog, "/") {
		return usererr.New("-B, --backup-path must be an absolute path")
	}
	if r.Instance == "" {
		if rules.noInstance {
			return nil
		}
		return usererr.New("required parameter not specified: --instance")
	}
	if rules.creates {
		return nil
	}
	var err error
	r.instance, err = s.openCatalog(r.Catalog).Instance(r.Instance)
	return err
}

// readInstance is step 9: the environment, then the config file, which is
// stronger. Only options that the command line left open are looked at.
func (s *session) readInstance(rules commandRules, r *request) error {
	if v, ok := s.env.LookupEnv("PGDATA"); ok {
		if err := r.Config.Set(catalog.FindConfigOption("pgdata"), v, catalog.FromEnv); err != nil {
			return err
		}
	}
	database, ok := s.env.LookupEnv("PGDATABASE")
	if !ok {
		if database, ok = s.env.LookupEnv("PGUSER"); !ok {
			database = s.env.UserName()
			ok = database != ""
		}
	}
	if ok {
		if err := r.Config.Set(catalog.FindConfigOption("pgdatabase"), database, catalog.FromEnv); err != nil {
			return err
		}
	}
	if rules.skipsConfig {
		return nil
	}
	path := filepath.Join(r.Catalog, "backups", r.Instance, catalog.ConfigName)
	_, err := catalog.ReadConfig(s.env.FS, path, r.Config, nil)
	return err
}

// configureLog is step 10. The directory's canonical form, and its default, are
// what show-config prints.
func (s *session) configureLog(rules commandRules, r *request) error {
	cfg := r.Config
	dir := cfg.LogDirectory
	if dir == "" && cfg.LogLevelFile != catalog.LogOff {
		dir = filepath.Join(r.Catalog, "log")
	}
	if dir != "" {
		dir = canonicalPath(dir)
		o := catalog.FindConfigOption("log-directory")
		if err := cfg.Set(o, dir, cfg.Source(o)); err != nil {
			return err
		}
	}
	s.log.Configure(logging.Config{
		Console: logLevel(cfg.LogLevelConsole), File: logLevel(cfg.LogLevelFile),
		Dir: dir, Filename: cfg.LogFilename, ErrorFilename: cfg.ErrorLogFilename,
		RotationSize: cfg.LogRotationSize, RotationAge: cfg.LogRotationAge,
	})
	if rules.logged {
		s.log.LogToFile(logging.Info, "command: "+joinCommandLine(s.args))
	}
	return nil
}

func logLevel(l catalog.LogLevel) logging.Level {
	switch l {
	case catalog.LogVerbose:
		return logging.Verbose
	case catalog.LogLog:
		return logging.Log
	case catalog.LogInfo:
		return logging.Info
	case catalog.LogNotice:
		return logging.Notice
	case catalog.LogWarning:
		return logging.Warning
	case catalog.LogError:
		return logging.Error
	}
	return logging.Off
}

// checkData is step 11. The canonical form is what set-config stores.
func (s *session) checkData(_ commandRules, r *request) error {
	if r.Config.PGData == "" {
		return nil
	}
	o := catalog.FindConfigOption("pgdata")
	path := canonicalPath(r.Config.PGData)
	if !strings.HasPrefix(path, "/") {
		return usererr.New("-D, --pgdata must be an absolute path")
	}
	if !remoteWanted(r.Config) {
		path = physicalPath(path)
	}
	return r.Config.Set(o, path, r.Config.Source(o))
}

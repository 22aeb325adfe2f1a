package cli

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"gsprobackup/internal/archive"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// archive-push and archive-get are what a server calls as archive_command and
// restore_command. The C tool has neither; they are no part of its help.

const (
	archivePush = "archive-push"
	archiveGet  = "archive-get"
)

// serverStop is the exit status by which restore_command ends a server's
// recovery. Both families take any status up to 125 for "no such file", which
// is the ordinary end of recovery, and stop for those above.
const serverStop = 160

func archivePushCommand(s *session) *cobra.Command {
	rules := commandRules{name: archivePush, logged: true}
	c := newCommand(archivePush, "archive WAL files", s.command(rules, func(ctx context.Context, r *request) error {
		opts, err := s.pushOptions(r)
		if err != nil {
			return err
		}
		return archive.Push(ctx, archive.Deps{FS: s.env.FS, Sink: s.console}, opts)
	}))
	c.Hidden = true
	return c
}

func archiveGetCommand(s *session) *cobra.Command {
	rules := commandRules{name: archiveGet}
	get := s.command(rules, func(ctx context.Context, r *request) error {
		opts, err := s.getOptions(r)
		if err != nil {
			return err
		}
		return archive.Get(ctx, archive.Deps{FS: s.env.FS, Sink: s.console}, opts)
	})
	c := newCommand(archiveGet, "give an archived WAL file to the server", func(ctx context.Context, args []string) error {
		s.failure = serverStop
		err := get(ctx, args)
		if errors.Is(err, archive.ErrNotArchived) {
			// Quietly: the server asks for more than there is.
			s.failure = 1
			return &exitError{code: 1}
		}
		return err
	})
	c.Hidden = true
	return c
}

// walFile reads --wal-file-path and --wal-file-name. The path is relative to
// the working directory, which is the server's data directory.
func (s *session) walFile(r *request) (path string, err error) {
	if r.WALFile.Name == "" {
		return "", usererr.New("Required parameter is not specified: --wal-file-name %%f")
	}
	if path = r.WALFile.Path; path == "" {
		if r.Config.PGData == "" {
			return "", usererr.New("Required parameter is not specified: --wal-file-path %%p")
		}
		for _, dir := range []string{"pg_wal", "pg_xlog"} {
			path = filepath.Join(r.Config.PGData, dir, r.WALFile.Name)
			if _, err := s.env.FS.Stat(filepath.Dir(path)); err == nil {
				break
			}
		}
	}
	return filepath.Abs(path)
}

func (s *session) pushOptions(r *request) (archive.PushOptions, error) {
	path, err := s.walFile(r)
	if err != nil {
		return archive.PushOptions{}, err
	}
	if fi, err := s.env.FS.Stat(path); err == nil && fi.IsDir() {
		path = filepath.Join(path, r.WALFile.Name) // pg_probackup takes the directory, too
	}
	if filepath.Base(path) != r.WALFile.Name {
		return archive.PushOptions{}, usererr.New("--wal-file-path \"%s\" and --wal-file-name \"%s\" are not the same file", r.WALFile.Path, r.WALFile.Name)
	}
	level, err := gzipLevel(r.Config)
	if err != nil {
		return archive.PushOptions{}, err
	}
	return archive.PushOptions{
		Instance: r.instance, SystemID: r.Config.SystemIdentifier,
		WALDir: filepath.Dir(path), Name: r.WALFile.Name,
		Batch: int(r.WALFile.BatchSize), Threads: r.threads(), GzipLevel: level,
		Overwrite: r.WALFile.Overwrite, NoSync: r.NoSync, NoReadyRename: r.WALFile.NoReadyRename,
	}, nil
}

// gzipLevel is how segments are compressed, 0 for not. Only gzip is read by the
// C tool and by servers' own scripts; the other algorithms are for backups, and
// as setting of the instance they do not concern WAL.
func gzipLevel(c *catalog.Config) (int, error) {
	switch c.CompressAlgorithm {
	case compress.Zlib:
		return int(c.CompressLevel), nil
	case compress.Undefined, compress.None:
		return 0, nil
	}
	if c.Source(catalog.FindConfigOption("compress-algorithm")) == catalog.FromCommandLine {
		return 0, usererr.New("Cannot use %s for WAL compression", c.CompressAlgorithm).WithHint("archived segments are compressed with zlib or not at all")
	}
	return 0, nil
}

func (s *session) getOptions(r *request) (archive.GetOptions, error) {
	path, err := s.walFile(r)
	if err != nil {
		return archive.GetOptions{}, err
	}
	prefetch := r.WALFile.PrefetchDir
	if prefetch != "" {
		if prefetch, err = filepath.Abs(prefetch); err != nil {
			return archive.GetOptions{}, err
		}
	}
	var until wal.Mark
	if r.WALFile.Until != "" {
		if until, err = wal.ParseMark(r.WALFile.Until); err != nil {
			return archive.GetOptions{}, usererr.Wrap(err, "Invalid value for '--until' option '%s'", r.WALFile.Until)
		}
	}
	return archive.GetOptions{
		Instance: r.instance, Name: r.WALFile.Name, Target: path,
		Batch: int(r.WALFile.BatchSize), Threads: r.threads(),
		PrefetchDir: prefetch, NoValidate: r.WALFile.NoValidateWAL, Until: until,
	}, nil
}

package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"gsprobackup/internal/event"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal/walarchive"
)

// settingsMode is the mode of the files written here.
var settingsMode = remote.CreateOptions{Mode: 0o600}

// maxConfig bounds a configuration file that is added to.
const maxConfig = 64 << 20

// noCommand is the restore_command for no archive at all: PostgreSQL does not
// start recovery without one.
const noCommand = "false"

// planSettings makes the recovery configuration if one is needed: for a backup
// without WAL of its own, a target behind its end, or a restore command
// (spec/formats.md §8.4, 6.0).
func (r *run) planSettings() error {
	given, none := r.opts.RestoreCommand, strings.EqualFold(r.opts.RestoreCommand, "none")
	if none {
		given = ""
	}
	if r.dest.Stream && !r.beyond() && given == "" {
		return nil
	}
	command := given
	if r.opts.RestoreCommand == "" {
		var err error
		if command, err = r.ownCommand(); err != nil {
			return err
		}
	}
	if command == "" && none && r.layout.Family == pgdata.PostgreSQL {
		command = noCommand
	}
	if command == "" && r.layout.Family == pgdata.PostgreSQL {
		// The server would not start, and say so.
		return usererr.New("required parameter not specified: --restore-command").
			WithHint("the restored server is to replay WAL from the archive, and this program cannot be its restore_command on another host")
	}
	r.command = command
	r.recovery = recoveryFiles(r.layout, r.serverTarget(), command)
	return nil
}

// serverTarget is the target in terms that the server understands.
func (r *run) serverTarget() Target {
	t := r.opts.Target
	t.Timeline = r.timelineSetting()
	switch og := r.layout.Family == pgdata.OpenGauss; {
	case t.Immediate && og:
		// openGauss has no such target. Stopping before the first
		// transaction that ends behind the backup is the same.
		exclusive := false
		t.Immediate, t.LSNText, t.Inclusive = false, r.dest.StopLSN.String(), &exclusive
	case r.ownName() && !og:
		// The restore point lies before the end of the backup, where
		// PostgreSQL refuses to stop.
		t.Name, t.Immediate = "", true
	}
	return t
}

// ownCommand is archive-get as restore_command, "" where none is needed or
// possible.
func (r *run) ownCommand() (string, error) {
	if r.opts.Program == "" {
		return "", nil
	}
	og := r.layout.Family == pgdata.OpenGauss
	if og {
		needed := !r.dest.Stream || r.beyond() && !r.opts.Target.Immediate && !r.ownName()
		files, err := walarchive.Files(r.deps.FS, r.opts.Instance.WALDir(), event.Discard)
		if err != nil {
			return "", err
		}
		if !needed || len(files) == 0 {
			return "", nil
		}
	}
	root := filepath.Dir(filepath.Dir(r.opts.Instance.WALDir()))
	return archiveGetCommand(og, r.opts.Program, root, r.opts.Instance.Name(), r.until)
}

// archiveGetCommand spells a call of archive-get for the server, which puts its
// own words for %p and %f. PostgreSQL hands the line to a shell; openGauss cuts
// it at blanks and knows no quoting (spec/server.md §6.5), so there are paths
// that cannot be said to it. until is where recovery ends, if that is known.
func archiveGetCommand(openGauss bool, program, root, instance, until string) (string, error) {
	words := []string{program, "archive-get", "-B", root, "--instance", instance}
	for i, w := range words {
		if openGauss && strings.ContainsAny(w, " \t\n\r\"'\\") {
			return "", usererr.New("Cannot make a restore command for the server from \"%s\"", w).
				WithHint("openGauss splits restore_command at blanks and knows no quotes; give one with --restore-command, or --restore-command=none")
		}
		if !openGauss {
			w = shellQuote(w)
		}
		words[i] = strings.ReplaceAll(w, "%", "%%")
	}
	if until != "" {
		words = append(words, "--until="+until)
	}
	return strings.Join(append(words, "--wal-file-path=%p", "--wal-file-name=%f"), " "), nil
}

// shellQuote quotes a word for sh unless it is plain.
func shellQuote(word string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.,:=@%+-"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// settings writes the recovery configuration.
func (r *run) settings(ctx context.Context) error {
	for i, f := range r.recovery {
		if i == 0 {
			r.emit(RecoverySettings{File: f.Name, Command: r.command})
		}
		if err := r.writeSettings(ctx, f); err != nil {
			return fmt.Errorf("write recovery settings: %w", err)
		}
	}
	return nil
}

func (r *run) writeSettings(ctx context.Context, f recoveryFile) error {
	full := path.Join(r.opts.PGData, f.Name)
	content := []byte(f.Content)
	if f.Append {
		old, err := r.deps.Host.ReadFile(ctx, full, maxConfig)
		if err != nil && !isMissing(err) {
			return err
		}
		content = append(withoutRecovery(old), content...)
	}
	return r.writeSmall(ctx, full, content)
}

func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, remote.ErrVanished)
}

package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// maxKeyFile bounds pg_probackup.conf and backup.control, which have a few
// kilobytes; more is a wrong file.
const maxKeyFile = 1 << 20

// UnknownOption is emitted for a key this release does not know, where that
// is only worth a warning: `Invalid option "%s" in file "%s"`.
type UnknownOption struct {
	Key  string
	File string
}

// ReadConfig reads pg_probackup.conf into cfg with source FromFile. An unknown
// key goes to unknown, which may return an error to stop; nil makes it the C
// tool's error. n is the number of keys, 0 for an empty file.
func ReadConfig(fsys fsx.FS, path string, cfg *Config, unknown func(UnknownOption) error) (n int, err error) {
	data, err := fsx.ReadFile(fsys, path, maxKeyFile)
	if err != nil {
		return 0, usererr.Wrap(err, `could not open file "%s": %s`, path, usererr.SystemText(err))
	}
	pairs, err := keyfile.Parse(data, keyfile.Options{})
	if err != nil {
		return 0, err
	}
	if unknown == nil {
		unknown = func(u UnknownOption) error {
			return usererr.New(`Invalid option "%s" in file "%s"`, u.Key, u.File)
		}
	}
	if err := readExtensions(data, cfg); err != nil {
		return len(pairs), err
	}
	options := ConfigOptions()
	for _, p := range pairs {
		o := matchOption(options, p.Key)
		if o == nil {
			err = unknown(UnknownOption{Key: p.Key, File: path})
		} else {
			err = cfg.Set(o, p.Value, FromFile)
		}
		if err != nil {
			return len(pairs), err
		}
	}
	return len(pairs), nil
}

// extensionMark begins a line with an option of ours, see ExtensionOptions.
const extensionMark = "#+ "

// readExtensions reads the options of ours. A key that only a newer release
// knows is passed over.
func readExtensions(data []byte, cfg *Config) error {
	var lines []byte
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(extensionMark)); ok {
			lines = append(lines, rest...)
		}
	}
	pairs, err := keyfile.Parse(lines, keyfile.Options{})
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if o := matchOption(ExtensionOptions(), p.Key); o != nil {
			if err := cfg.Set(o, p.Value, FromFile); err != nil {
				return err
			}
		}
	}
	return nil
}

func matchOption(options []*ConfigOption, key string) *ConfigOption {
	for _, o := range options {
		if keyfile.SameKey(o.Key, key) {
			return o
		}
	}
	return nil
}

// WriteConfig writes the options that came from the command line or the file
// in the layout of spec/formats.md §2.1. A value that could not be read back
// gives a *keyfile.ValueError.
func WriteConfig(w io.Writer, cfg *Config) error {
	group := ""
	for _, o := range ConfigOptions() {
		text, ok := cfg.Text(o)
		if !ok || cfg.Source(o) < FromFile {
			continue
		}
		line, err := keyfile.Auto(o.Key, text)
		if err != nil {
			return err
		}
		if o.Group != group {
			group = o.Group
			line = "# " + group + "\n" + line
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return writeExtensions(w, cfg)
}

// writeExtensions writes the options of ours that have a value.
func writeExtensions(w io.Writer, cfg *Config) error {
	var b strings.Builder
	for _, o := range ExtensionOptions() {
		text, ok := cfg.Text(o)
		if !ok || cfg.Source(o) < FromFile {
			continue
		}
		line, err := keyfile.Auto(o.Key, text)
		if err != nil {
			return err
		}
		if b.Len() == 0 {
			b.WriteString("# " + groupExtensions + "\n")
		}
		b.WriteString(extensionMark + line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// SaveConfig replaces pg_probackup.conf durably. Its mode is 0666 less the
// umask, as the C tool's, but for a file with a secret in it.
func SaveConfig(fsys fsx.FS, path string, cfg *Config) error {
	// First to nowhere, so that a value that cannot be stored has its own error.
	if err := WriteConfig(io.Discard, cfg); err != nil {
		return err
	}
	mode, err := ordinaryMode(fsys, path+".tmp")
	if cfg.AccessKey != "" { // the C tool leaves it to everybody (spec/cli.md §13 row 10)
		mode &= 0o600
	}
	if err == nil {
		err = fsx.WriteFileDurable(fsys, path, mode, func(w io.Writer) error { return WriteConfig(w, cfg) })
	}
	if err != nil {
		return usererr.Wrap(err, `Cannot create configuration file "%s": %s`, path, usererr.SystemText(err))
	}
	return nil
}

// ordinaryMode finds the mode that open(2) gives a new file; the umask cannot
// be read without changing it for the whole process.
func ordinaryMode(fsys fsx.FS, probe string) (fs.FileMode, error) {
	if err := fsys.Remove(probe); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	f, err := fsys.OpenFile(probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return 0, err
	}
	fi, err := f.Stat()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return 0, fmt.Errorf("examine new file: %w", err)
	}
	return fi.Mode().Perm(), nil
}

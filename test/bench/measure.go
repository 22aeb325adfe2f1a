package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// result is one measured command.
type result struct {
	wall   time.Duration
	cpu    time.Duration // user and system
	rss    int64         // peak, bytes
	stored int64         // bytes it left behind, where asked for
	// read and written are bytes of its system calls, where asked for.
	read, written int64
}

// measure runs a command as the server's user.
func (b *bench) measure(ctx context.Context, name string, args ...string) (result, error) {
	if b.cold {
		syscall.Sync()
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0); err != nil {
			return result{}, fmt.Errorf("drop caches: %w", err)
		}
	}
	cmd := b.account.AsUser(exec.CommandContext(ctx, name, args...))
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("run %s %v: %w\n%s", filepath.Base(name), args, err, out[max(0, len(out)-2000):])
	}
	r := result{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.rss = ru.Maxrss << 10
	}
	return r, nil
}

func (b *bench) gs(ctx context.Context, args ...string) (result, error) {
	return b.measure(ctx, b.tool, args...)
}

// median repeats once and takes the run of median time with the highest RSS
// seen.
func (b *bench) median(once func() (result, error)) (result, error) {
	var all []result
	var rss int64
	for range b.runs {
		r, err := once()
		if err != nil {
			return result{}, err
		}
		rss = max(rss, r.rss)
		all = append(all, r)
	}
	r := middle(all)
	r.rss = rss
	return r, nil
}

// middle is the run of median time.
func middle(all []result) result {
	slices.SortFunc(all, func(x, y result) int { return int(x.wall - y.wall) })
	return all[len(all)/2]
}

// backup takes a FULL backup and leaves it as the only one of the catalog.
func (b *bench) backup(ctx context.Context, extra ...string) (result, error) {
	return b.median(func() (result, error) {
		if err := b.emptyCatalog(); err != nil {
			return result{}, err
		}
		args := append([]string{"backup", "-B", b.catalog, "--instance=bench", "-b", "FULL", "-C",
			"-h", b.source.SocketDir, "-p", fmt.Sprint(b.source.Port), "-U", "postgres", "-d", "postgres"}, extra...)
		r, err := b.gs(ctx, args...)
		if err != nil {
			return r, err
		}
		r.stored, err = size(b.catalog)
		return r, err
	})
}

func (b *bench) emptyCatalog() error {
	dirs, err := filepath.Glob(filepath.Join(b.catalog, "backups", "bench", "*"))
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if filepath.Base(d) != "pg_probackup.conf" {
			err = errors.Join(err, os.RemoveAll(d))
		}
	}
	return err
}

// validate, restore and show work on the backup that backup left.
func (b *bench) validate(ctx context.Context, extra ...string) (result, error) {
	return b.median(func() (result, error) {
		return b.gs(ctx, append([]string{"validate", "-B", b.catalog, "--instance=bench"}, extra...)...)
	})
}

func (b *bench) restore(ctx context.Context, extra ...string) (result, error) {
	target := filepath.Join(b.dir, "restored")
	return b.median(func() (result, error) {
		r, err := b.gs(ctx, append([]string{"restore", "-B", b.catalog, "--instance=bench", "-D", target}, extra...)...)
		return r, errors.Join(err, os.RemoveAll(target))
	})
}

// copyAndSync is cp as durable as a backup tool.
const copyAndSync = `cp -a "$1" "$2" && find "$2" -type f -exec sync {} +`

// copyTree copies the data directory with a shell command that gets source and
// target as $1 and $2.
func (b *bench) copyTree(ctx context.Context, script string) (result, error) {
	target := filepath.Join(b.dir, "copy")
	return b.median(func() (result, error) {
		r, err := b.measure(ctx, "sh", "-c", script, "sh", b.source.DataDir, target)
		return r, errors.Join(err, os.RemoveAll(target))
	})
}

func size(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// floor is the RSS that any child of ours shows.
func (b *bench) floor(ctx context.Context) (int64, error) {
	r, err := b.measure(ctx, "true")
	return r.rss, err
}

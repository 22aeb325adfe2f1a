package pgserver

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Account is the operating-system user that owns the test server and runs the
// tool. PostgreSQL refuses to run as root (design.md §5), and a backup tool
// must be able to read what the server wrote, so both run as the same user.
type Account struct {
	Name     string
	UID, GID uint32
	Drop     bool // we are root and have to change to this user
}

// RunAs picks the account: the present user, or, for root, postgres (made by
// Debian's package) or nobody.
func RunAs() (Account, error) {
	if os.Geteuid() != 0 {
		name := "unknown"
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		return Account{Name: name, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return Account{Name: name, UID: uint32(uid), GID: uint32(gid), Drop: true}, nil
		}
	}
	return Account{}, fmt.Errorf("find a user for the server: running as root, and neither postgres nor nobody exists")
}

// AsUser makes cmd run as the account, in a directory and with an environment
// that this user can use. Variables that steer libpq or the tool are removed,
// so the developer's shell cannot change a test.
func (a Account) AsUser(cmd *exec.Cmd) *exec.Cmd {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if a.Drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: []uint32{a.GID}}
		if cmd.Dir == "" {
			cmd.Dir = "/" // our own directory may be closed to the user
		}
	}
	env := cmd.Env
	if env == nil {
		env = CleanEnv()
	}
	if a.Drop {
		env = append(env, "HOME="+cmd.Dir, "USER="+a.Name, "LOGNAME="+a.Name)
	}
	cmd.Env = env
	return cmd
}

// CleanEnv is the process environment without PG*, BACKUP_PATH and other
// variables that the server or the tool would read, in the C locale and UTC.
func CleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "PG"), strings.HasPrefix(name, "LC_"), strings.HasPrefix(name, "GS_PROBACKUP"):
		case name == "BACKUP_PATH", name == "LANG", name == "LANGUAGE", name == "TZ":
		default:
			env = append(env, kv)
		}
	}
	return append(env, "LC_ALL=C", "TZ=UTC")
}

// CleanProcess gives this process CleanEnv and the usual umask: for TestMain of
// tests in which the tool runs in their own process.
func CleanProcess() error {
	env := CleanEnv()
	os.Clearenv()
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("clean the environment: %w", err)
		}
	}
	syscall.Umask(0o022)
	return nil
}

// RunClean runs the tests of a package in a clean process; the result is for
// os.Exit in their TestMain.
func RunClean(m interface{ Run() int }) int {
	if err := CleanProcess(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// TempDir makes a directory (mode 0700) owned by the account. Its path is short
// because a socket path may have 107 bytes only.
func (a Account) TempDir(pattern string) (string, error) {
	base := os.TempDir()
	if a.Drop && !openToOthers(base) {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, pattern)
	if err != nil {
		return "", fmt.Errorf("make temporary directory: %w", err)
	}
	if err := a.Own(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// Own gives the tree to the account; nothing to do for an ordinary user.
func (a Account) Own(root string) error {
	if !a.Drop {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.UID), int(a.GID))
	})
}

func openToOthers(dir string) bool {
	for {
		st, err := os.Stat(dir)
		if err != nil || st.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == "/" || dir == "." {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

package sshlink

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"runtime"
	"strings"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/usererr"
)

// DeployOptions are for Deploy.
type DeployOptions struct {
	FS     fsx.FS
	Events event.Sink
	// Executable is the program to copy; "" for this one.
	Executable string
	// Where names the far machine in messages.
	Where string
}

// Deployed tells that a copy of this program runs on the far side.
type Deployed struct {
	Where, Path string
	Bytes       int64
}

// Deploy makes sure that there is an agent to start on the far side. If the
// shell there finds the program of cmd, nothing happens and cmd is returned.
// Otherwise this program is copied into a new directory with an unguessable
// name that only the user there can enter, and the command for the copy is
// returned. The copy is removed when the link is closed, and by the far side
// itself when the link is lost: a shell waits there for the end of its input.
//
// It needs sh, cat, chmod, mktemp, rm and uname there. The returned link takes
// the place of the given one.
func Deploy(ctx context.Context, link agent.Link, cmd agent.Command, o DeployOptions) (agent.Link, agent.Command, error) {
	if o.FS == nil {
		o.FS = fsx.OS()
	}
	if o.Events == nil {
		o.Events = event.Discard
	}
	d := &deployment{Link: link, ctx: ctx, opts: o}
	out, err := d.output(probe(cmd))
	if err != nil {
		return link, cmd, err
	}
	if out == "found" {
		return link, cmd, nil
	}
	if err := d.checkMachine(); err != nil {
		return link, cmd, err
	}
	copied, err := d.copy()
	if err != nil {
		return link, cmd, errors.Join(err, d.remove())
	}
	return d, copied, nil
}

// deployment is a link with a copy of this program at its far end.
type deployment struct {
	agent.Link
	ctx   context.Context // of Deploy
	opts  DeployOptions
	guard agent.Channel // the shell that removes the copy
}

// Close removes the copy, then closes the link.
func (d *deployment) Close() error { return errors.Join(d.remove(), d.Link.Close()) }

func (d *deployment) remove() error {
	if d.guard == nil {
		return nil
	}
	guard := d.guard
	d.guard = nil
	// When the link is lost the guard has noticed by itself.
	var exit *agent.ExitError
	if err := guard.Close(); errors.As(err, &exit) {
		return fmt.Errorf("remove the deployed program on %s: %w", d.opts.Where, err)
	}
	return nil
}

// script makes a command of a line for the POSIX shell, whatever shell the
// user has there. The line must not hold single quotes.
func script(line string) string { return "exec sh -c '" + line + "'" }

// probe asks whether the shell finds the program; it prints "found" or
// nothing.
func probe(cmd agent.Command) string {
	program, _ := strings.CutSuffix(agent.Command{Program: cmd.Program, Path: cmd.Path}.String(), " agent")
	line := "command -v " + strings.TrimSpace(program) + " >/dev/null && echo found || :"
	if strings.Contains(line, "'") {
		return line
	}
	return script(line)
}

// output runs a command and returns what it prints, at most 64 kB.
func (d *deployment) output(command string) (string, error) {
	ch, err := d.Start(d.ctx, command)
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(d.ctx, func() { _ = ch.Close() })
	defer stop()
	_ = ch.CloseWrite() // Wait tells
	out, err := io.ReadAll(io.LimitReader(ch, 64<<10))
	if exit := ch.Close(); exit != nil {
		return "", d.fault(exit)
	}
	return strings.TrimSpace(string(out)), err
}

// fault words a command of ours that failed there.
func (d *deployment) fault(err error) error {
	if cause := context.Cause(d.ctx); cause != nil {
		return cause
	}
	var ours *usererr.Error
	if errors.As(err, &ours) {
		return err
	}
	return usererr.Wrap(err, "Cannot deploy gs_probackup to %s: the shell there %v", d.opts.Where, err)
}

// checkMachine compares system and processor of both sides.
func (d *deployment) checkMachine() error {
	out, err := d.output(script("uname -sm"))
	if err != nil {
		return err
	}
	there, here := machine(out), runtime.GOOS+"/"+runtime.GOARCH
	if there != here {
		return usererr.New("Cannot deploy gs_probackup to %s: this program is for %s, the machine there is %s", d.opts.Where, here, there).WithHint(
			"install gs_probackup for that machine there, and give its directory with --remote-path")
	}
	return nil
}

// machine turns the answer of uname -sm into Go's names.
func machine(uname string) string {
	system, processor, _ := strings.Cut(uname, " ")
	arch, ok := map[string]string{
		"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm",
		"loongarch64": "loong64", "ppc64le": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
	}[processor]
	if !ok {
		arch = processor
	}
	return strings.ToLower(system) + "/" + arch
}

// makeDir makes the directory, prints its name, waits for the end of its input
// and removes it. Where nothing may be run in the first place, as with noexec,
// it tries the next one.
var makeDir = script(`umask 077; trap "" HUP; for b in "${TMPDIR:-/tmp}" /var/tmp "$HOME"; do ` +
	`d=$(mktemp -d "$b/gs_probackup.XXXXXXXXXXXX" 2>/dev/null) || continue; ` +
	`echo "exit 0" >"$d/try" && chmod 700 "$d/try" && "$d/try" 2>/dev/null && break; rm -rf "$d"; d=; done; ` +
	`if test -z "$d"; then echo "no directory to run programs in" >&2; exit 1; fi; rm -f "$d/try"; ` +
	`trap "rm -rf \"$d\"" EXIT; trap "exit 1" INT TERM; echo "$d"; cat >/dev/null`)

// dirName is what makeDir may print.
var dirName = regexp.MustCompile(`^/[A-Za-z0-9_./+@%=,-]*gs_probackup\.[A-Za-z0-9]{12}$`)

// maxProgram bounds the size of the program, in bytes.
const maxProgram = 512 << 20

// copy puts this program there and starts its guard.
func (d *deployment) copy() (agent.Command, error) {
	none := agent.Command{}
	local := d.opts.Executable
	if local == "" {
		var err error
		if local, err = os.Executable(); err != nil {
			return none, fmt.Errorf("find this program: %w", err)
		}
	}
	text, err := fsx.ReadFile(d.opts.FS, local, maxProgram)
	if err != nil {
		return none, fmt.Errorf("read this program: %w", err)
	}
	guard, err := d.Start(d.ctx, makeDir)
	if err != nil {
		return none, err
	}
	d.guard = guard
	stop := context.AfterFunc(d.ctx, func() { _ = guard.Close() })
	dir, err := bufio.NewReader(io.LimitReader(guard, 4096)).ReadString('\n')
	stop()
	dir = strings.TrimSuffix(dir, "\n")
	if err != nil {
		d.guard = nil
		return none, d.fault(cmpError(guard.Close(), err))
	}
	if !dirName.MatchString(dir) {
		return none, usererr.New("Cannot deploy gs_probackup to %s: unexpected directory %q", d.opts.Where, dir)
	}
	far := path.Join(dir, "gs_probackup")
	if err := d.upload(text, far); err != nil {
		return none, err
	}
	d.opts.Events.Emit(Deployed{Where: d.opts.Where, Path: far, Bytes: int64(len(text))})
	return agent.Command{Program: far}, nil
}

func cmpError(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// upload writes the program and reads it back.
func (d *deployment) upload(text []byte, far string) error {
	ch, err := d.Start(d.ctx, script(`umask 077; cat >"`+far+`" && chmod 700 "`+far+`"`))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(d.ctx, func() { _ = ch.Close() })
	_, err = ch.Write(text)
	_ = ch.CloseWrite() // Close tells
	exit := ch.Wait()
	stop()
	if err = cmpError(exit, err); err != nil {
		return d.fault(err)
	}
	want := sha256.Sum256(text)
	got, err := d.checksum(far)
	if err == nil && got != hex.EncodeToString(want[:]) {
		err = usererr.New("Cannot deploy gs_probackup to %s: the copy differs from this program", d.opts.Where)
	}
	return err
}

// checksum is the SHA-256 of a file there, made there if a program for it
// exists.
func (d *deployment) checksum(far string) (string, error) {
	out, err := d.output(script(`command -v sha256sum >/dev/null && sha256sum <"` + far + `" || :`))
	if sum, _, ok := strings.Cut(out, " "); err == nil && ok && len(sum) == 64 {
		return sum, nil
	}
	ch, err := d.Start(d.ctx, script(`cat "`+far+`"`))
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(d.ctx, func() { _ = ch.Close() })
	defer stop()
	_ = ch.CloseWrite() // Close tells
	sum := sha256.New()
	_, err = io.Copy(sum, ch)
	if err = cmpError(ch.Close(), err); err != nil {
		return "", d.fault(err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

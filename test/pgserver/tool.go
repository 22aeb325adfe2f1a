package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BuildTool builds cmd/gs_probackup from the module that the present directory
// belongs to into dir and gives its path. Root's checkout may be closed to the
// user the tool runs as, therefore a copy where that user can reach it.
func (a Account) BuildTool(dir string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "gs_probackup")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./cmd/gs_probackup")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gs_probackup: %w\n%s", err, text)
	}
	return out, errors.Join(os.Chmod(out, 0o755), a.Own(dir))
}

// CopyTool copies a binary that is built into dir, where the user can run it,
// and gives its path.
func (a Account) CopyTool(tool, dir string) (string, error) {
	data, err := os.ReadFile(tool)
	if err != nil {
		return "", fmt.Errorf("read the tool (run `make build`): %w", err)
	}
	out := filepath.Join(dir, "gs_probackup")
	if err := os.WriteFile(out, data, 0o755); err != nil {
		return "", fmt.Errorf("copy the tool: %w", err)
	}
	return out, a.Own(dir)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	gomod := strings.TrimSpace(string(out))
	if err != nil || gomod == "" || gomod == os.DevNull {
		return "", fmt.Errorf("find the module's directory: %w", cmpErr(err, errors.New("not inside the checkout")))
	}
	return filepath.Dir(gomod), nil
}

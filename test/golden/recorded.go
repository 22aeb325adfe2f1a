package golden

import (
	"encoding/hex"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// ReadFiles reads files packed as "-- name --" and their lines.
func ReadFiles(name string) (map[string]string, error) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	return files, nil
}

// controlFileSize is that of openGauss.
const controlFileSize = 8192

// ReadControlFile reads a pg_control of which the head is kept in hexadecimal
// digits.
func ReadControlFile(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	head, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	return append(head, make([]byte, controlFileSize-len(head))...), nil
}

package server

import (
	"fmt"
	"path/filepath"

	"github.com/jackc/pgservicefile"
)

// readService reads what PGSERVICE names, as libpq does: it stands behind what
// was given and before the other variables. pgx reads the same file for the
// keys that are not asked for here.
func (s *settings) readService() error {
	name, _ := s.Env("PGSERVICE")
	if name == "" {
		return nil
	}
	file, _ := s.Env("PGSERVICEFILE")
	if file == "" {
		home, _ := s.Env("HOME")
		file = filepath.Join(home, ".pg_service.conf")
	}
	services, err := pgservicefile.ReadServicefile(file)
	if err != nil {
		return fmt.Errorf("service file \"%s\" cannot be read: %w", file, err)
	}
	service, err := services.GetService(name)
	if err != nil {
		return fmt.Errorf("definition of service \"%s\" not found", name)
	}
	s.service = service.Settings
	return nil
}

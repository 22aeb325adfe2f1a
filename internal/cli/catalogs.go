package cli

import "gsprobackup/internal/catalog"

// openCatalog gives access to the catalog at root; what is odd there goes to
// the console.
func (s *session) openCatalog(root string) *catalog.Catalog {
	return catalog.Open(s.env.FS, root, catalog.Options{Sink: s.console, Location: s.env.Location})
}

package cli

import "gsprobackup/internal/event"

func renderValidate(*console, event.Event) bool { return false }
func renderRestore(*console, event.Event) bool  { return false }

func renderBackup(*console, event.Event) bool { return false }

package cli

import (
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
)

// renderRemote has the words for events of remote mode (spec/server.md §5.2).
func renderRemote(c *console, e event.Event) bool {
	switch e := e.(type) {
	case agent.LinkStarted:
		c.logf("Start SSH client process, pid %d", e.PID)
	case agent.LinkEnded:
		c.logf("SSH process %d is terminated with status %d", e.PID, e.Status)
	case agent.FewerChannels:
		c.logf("The remote host starts no more agents, going on with those there are: %v", e.Err)
	case sshlink.TransportChosen:
		if e.BuiltIn {
			c.logf("SSH connection to %s by the built-in client", e.Host)
		} else {
			c.logf("SSH connection to %s by the ssh program: %s", e.Host, e.Reason)
		}
	case sshlink.HostKeyAdded:
		c.warn("Permanently added the key of %s (%s) to %s", e.Host, e.Fingerprint, e.File)
	case sshlink.HostKeyIgnored:
		c.warn("The key of %s (%s) is not the known one; StrictHostKeyChecking=no accepts it", e.Host, e.Fingerprint)
	case sshlink.FarText:
		c.log.Raw(e.Line + "\n")
	case sshlink.Deployed:
		c.info("This program was copied to %s:%s for the time of this command", e.Where, e.Path)
	default:
		return false
	}
	return true
}

// limitChanged tells of a new --limit-rate in a running command.
func (c *console) limitChanged(bytesPerSecond uint64) {
	cfg := catalog.Config{LimitRate: bytesPerSecond}
	if text, ok := cfg.Text(catalog.FindConfigOption("limit-rate")); ok {
		c.logf("The limit is now %s per second", text)
		return
	}
	c.logf("There is no limit any more")
}

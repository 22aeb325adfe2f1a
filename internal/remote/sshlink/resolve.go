package sshlink

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gsprobackup/internal/remote/sshlink/sshconf"
	"gsprobackup/internal/usererr"
)

// plan is which transport reaches a machine.
type plan struct {
	target target   // of the built-in client
	reason string   // why the system's ssh; "" for the built-in client
	words  []string // of --ssh-options, for the system's ssh
}

// maxJumps bounds chains of ProxyJump, which may go in circles.
const maxJumps = 8

// makePlan decides which transport to use. It is the only place that does.
func makePlan(o Options) (plan, error) {
	host := o.Host
	if _, h, ok := cutLast(o.Host, "@"); ok {
		host = h
	}
	conf := sshconf.New(host, o.Local.User)
	line, err := parseCommandLine(o, conf)
	if err != nil {
		return plan{}, err
	}
	p := plan{words: line.words}
	if len(line.reasons) > 0 {
		p.reason = line.reasons[0]
		return p, nil
	}
	r := resolver{opts: o, file: line.file}
	p.target, p.reason, err = r.resolve(host, conf, 0)
	return p, err
}

// resolver turns the configuration of a host into a target.
type resolver struct {
	opts    Options
	file    string // -F
	keyword string // being looked at
}

func (r *resolver) resolve(host string, conf *sshconf.Config, depth int) (target, string, error) {
	if depth > maxJumps {
		return target{}, "", usererr.New("Failed to establish SSH connection: more than %d hosts to jump through on the way to %s", maxJumps, host)
	}
	if strings.Contains(host, "/") {
		return target{}, fmt.Sprintf("host %q is more than a name", host), nil
	}
	if err := r.readFiles(conf); err != nil {
		return target{}, "", err
	}
	if len(conf.Unclear) > 0 {
		return target{}, conf.Unclear[0], nil
	}
	t := target{
		host: host, port: "22", user: r.opts.Local.User, strict: "ask", network: "tcp", keepAlive: true,
		timeout: defaultTimeout, attempts: 1, aliveEvery: defaultAliveEvery, aliveCount: defaultAliveCount, minRSA: 1024,
	}
	if reason := r.apply(conf, &t); reason != "" {
		return t, reason, nil
	}
	reason := r.expand(conf, &t)
	if reason != "" {
		return t, reason, nil
	}
	reason, err := r.jump(conf, &t, depth)
	return t, reason, err
}

// readFiles adds the configuration files, the user's before the system's.
func (r *resolver) readFiles(conf *sshconf.Config) error {
	sshDir := filepath.Join(r.opts.Local.Home, ".ssh")
	files := []sshconf.File{
		{Path: filepath.Join(sshDir, "config"), Base: sshDir, Guarded: true},
		{Path: r.opts.Local.SystemConfig, Base: filepath.Dir(r.opts.Local.SystemConfig)},
	}
	switch {
	case strings.EqualFold(r.file, "none"):
		return nil
	case r.file != "":
		files = []sshconf.File{{Path: r.file, Base: sshDir, MustExist: true}}
	}
	for _, f := range files {
		f.Home = r.opts.Local.Home
		if err := conf.Read(r.opts.FS, f); err != nil {
			return usererr.Wrap(err, "Failed to establish SSH connection: %s", err)
		}
	}
	return nil
}

// apply takes every keyword over; the first reason, in the order of names,
// ends it.
func (r *resolver) apply(conf *sshconf.Config, t *target) string {
	known := treatments()
	names := conf.Keywords()
	slices.Sort(names)
	for _, name := range names {
		v, _ := conf.Get(name)
		treat, ok := known[name]
		if !ok {
			if conf.Ignored(name) {
				continue
			}
			return named(name, v)
		}
		r.keyword = name
		if reason := treat(r, t, v); reason != "" {
			return reason
		}
	}
	return ""
}

// jump resolves ProxyJump: "none", or hosts separated by commas, the first to
// be visited first. As with ssh, options of the command line are for the last
// host only.
func (r *resolver) jump(conf *sshconf.Config, t *target, depth int) (string, error) {
	v, ok := conf.Get("proxyjump")
	if !ok || strings.EqualFold(v.First(), "none") {
		return "", nil
	}
	hops := strings.Split(v.First(), ",")
	last := hops[len(hops)-1]
	hop, err := splitHop(last)
	if err != nil {
		return "", usererr.New("Failed to establish SSH connection: %s: %v", named("ProxyJump", v), err)
	}
	jumpConf := sshconf.New(hop.host, r.opts.Local.User)
	for keyword, value := range map[string]string{"user": hop.user, "port": hop.port} {
		if value != "" {
			jumpConf.Set(keyword, []string{value}, v.Where)
		}
	}
	if len(hops) > 1 {
		jumpConf.Set("proxyjump", []string{strings.Join(hops[:len(hops)-1], ",")}, v.Where)
	}
	j, reason, err := r.resolve(hop.host, jumpConf, depth+1)
	if err != nil || reason != "" {
		return reason, err
	}
	t.jumps = append(j.jumps, j)
	t.jumps[len(t.jumps)-1].jumps = nil
	return "", nil
}

type hop struct{ user, host, port string }

// splitHop reads [user@]host[:port] or an ssh:// URI of them; an IPv6 address
// is in brackets.
func splitHop(s string) (hop, error) {
	var h hop
	s = strings.TrimSuffix(strings.TrimPrefix(s, "ssh://"), "/")
	if name, rest, ok := cutLast(s, "@"); ok {
		h.user, s = name, rest
	}
	if rest, ok := strings.CutPrefix(s, "["); ok {
		var after string
		if s, after, ok = strings.Cut(rest, "]"); !ok {
			return h, fmt.Errorf("no end of address")
		}
		h.host, h.port = s, strings.TrimPrefix(after, ":")
	} else if strings.Count(s, ":") == 1 {
		h.host, h.port, _ = strings.Cut(s, ":")
	} else {
		h.host = s
	}
	return h, Options{Host: h.host, User: h.user, Port: h.port}.check()
}

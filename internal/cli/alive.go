package cli

import "time"

// keepAlive redraws the bar of a terminal while a phase has nothing to tell: a
// long sync, a network that stands still. Scripts get what events draw and no
// more.
func (c *console) keepAlive(phase chan struct{}) {
	ticks, stop := c.env.Tick(barInterval)
	defer stop()
	for {
		select {
		case <-phase:
			return
		case <-ticks:
			c.refreshBar(phase)
		}
	}
}

// refreshBar draws the bar again, unless its phase is over or an event has just
// drawn it.
func (c *console) refreshBar(phase chan struct{}) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	now := c.env.Now()
	if b.alive != phase || !b.drawn.IsZero() && now.Sub(b.drawn) < barInterval/2 {
		return
	}
	b.drawn = now
	elapsed := now.Sub(b.began)
	pace := b.pace(elapsed)
	if pace == "" { // nothing is done yet: at least the time goes on
		pace = prettyTime(elapsed.Truncate(time.Second))
	}
	c.screen.redraw(b.fit(c.screen.columns(), counting(b.tail), b.tail, pace))
}

// tick is a ticker of the real clock.
func tick(every time.Duration) (ticks <-chan time.Time, stop func()) {
	t := time.NewTicker(every)
	return t.C, t.Stop
}

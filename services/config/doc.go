// Package config keeps the settings of the system and its programs: each with a
// type, a default, a documentation and a validation.
//
//	var age = config.Between(config.Duration("log.age", 7*24*time.Hour, "How long lines are kept."), time.Minute, year)
//
//	c, err := config.Open(ctx, store, config.Options{Override: bootLine}, age)
//	...
//	keep := age.In(c)                          // an atomic load
//	err = c.Set(ctx, "log.age", "72h")         // a transaction, checked
//	c.Follow(ctx, func() error { ... })        // runs now and after each change
//
// A setting's value is the first of these that there is:
//
//	override   the boot command line: set.log.age=24h, for this boot only
//	value      what Set stored, a row of os.settings
//	default    what the declaration says
//
// The rows hold all three, and what the declaration says besides, so that whoever
// reads the table sees everything. A change takes effect when its transaction
// commits, whoever made it: a Set, a restore, a write to the table. Set refuses
// what does not parse; where such text reaches the row by another way, the setting
// keeps the value that it had, and the row says why in its column problem.
//
// The package owns os.settings. It may import dbms, kernel/cmdline and
// package user. It guarantees
// that In never blocks and never returns a value that the setting's validation
// refuses. It refuses two settings of one name, and overrides of names that nobody
// declared.
package config

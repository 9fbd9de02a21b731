// Package system is the services together, over one store.
//
//	store (dbms/store)
//	   └ System: users; files, tasks, messages, network, logs, ...
//
// A board opens a System on the machine's volume, and so does a test or a
// program on a Linux host. It owns the list of all tables of the services, the
// order in which services start and end, and docs/TABLES.md, which a test writes
// from the declarations. It may import dbms and every service; no service imports
// it. It guarantees that services end before the store does. It refuses a store
// whose tables of the services are not as this system declares them.
package system

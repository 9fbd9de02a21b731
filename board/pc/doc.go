// Package pc composes the system for PC-like machines.
package pc

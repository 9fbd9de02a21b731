// Package file keeps files and directories in Pebble.
package file

/*
Package services owns the shell's commands for what the system keeps in tables:
task, message, topic, log, span, config, user, metric, and tables and rows for any
table at all; restore, which takes files, tables or the whole system back to a
moment; and shell commands that run as tasks.

It may import the frame (package command), the services, and dbms. It gets the
services from whoever composes the shell, and opens them with the first command
that needs them. Outside of a Tuplix machine there are none, and the commands say
so.

It guarantees that everything is done on behalf of the caller of the command's
context, so that rights are those of who typed it; that each listing has a --json
form, one object on a line; and that stored text reaches a terminal only as text,
never as orders to it.

It refuses to be SQL: rows are looked for by values of columns, and nothing else.
*/
package services

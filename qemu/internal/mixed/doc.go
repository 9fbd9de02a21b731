// Package mixed is what a guest does to the services while a test pulls the plug,
// all at once, and what must hold of it afterwards.
//
// Clerks move money around a ring of accounts (package bank). Besides, orders pass
// through everything that a machine keeps:
//
//	send    a message with the order's number, sent again after each boot
//	handle  one transaction takes the message, writes a row and a file, and
//	        submits a task
//	pay     the task ends in one transaction with a transfer on the ring and with
//	        the row's mark
//
// It owns the table of orders, the mailbox "orders", the program "pay" and the
// directory /orders. It may import services, dbms and package bank: the guest does the
// work, guest and host look at it. It guarantees that Look finds an order that is
// lost, handled or paid twice, or in part only. It refuses nothing.
package mixed

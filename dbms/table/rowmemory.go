package table

// Encoding and decoding go by where the columns of a row lie, which hides from the
// compiler that they do not keep its address: it would have each row in memory of its
// own, to be collected. So a transaction has memory for one row, which is in use for the
// time of a call, and callers' rows are copied from and to it.

// takeRow returns empty memory for a row. Whoever calls the table meanwhile, as a method
// of a column that is stored as JSON might, gets another.
func takeRow[T any](tx *Tx) *T {
	p, _ := tx.oneRow.(*T)
	if p == nil {
		return new(T)
	}
	tx.oneRow = nil
	return p
}

// giveRow empties the memory, so that it holds on to no texts, and keeps it.
func giveRow[T any](tx *Tx, p *T) {
	var empty T
	*p = empty
	tx.oneRow = p
}

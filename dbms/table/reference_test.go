package table

import (
	"database/sql"
	"testing"
)

type author struct {
	Country string `table:"key,desc"`
	ID      uint32 `table:"key"`
	Name    string
	Teacher sql.Null[uint32]
	Land    sql.Null[string]
}

type book struct {
	ID      uint64 `table:"key,auto"`
	Country sql.Null[string]
	Author  sql.Null[uint32]
	Title   string
}

type review struct {
	Book  uint64 `table:"key"`
	Stars uint8  `table:"key"`
}

var (
	authors = Declare[author]("authors")
	_       = authors.Index("by_teacher", "land", "teacher")
	_       = authors.Cascade("taught_by", authors, "land", "teacher")
	books   = Declare[book]("books")
	byAutor = books.Index("by_author", "country", "author")
	_       = books.Cascade("written_by", authors, "country", "author")
	reviews = Declare[review]("reviews").Refer("of_book", books, "book")
)

func some[T any](v T) sql.Null[T] { return sql.Null[T]{V: v, Valid: true} }

func TestReferences(t *testing.T) {
	db := openDB(t, reviews, books, authors) // created in the order that they need
	update(t, db, func(tx *Tx) error {
		fails(t, "no author", books.Insert(tx, &book{Country: some("de"), Author: some(uint32(1))}), ErrReference)
		err := firstError(
			authors.Insert(tx, &author{Country: "de", ID: 1, Name: "Ann"}),
			authors.Insert(tx, &author{Country: "de", ID: 2, Name: "Ben", Land: some("de"), Teacher: some(uint32(1))}),
			authors.Insert(tx, &author{Country: "fr", ID: 3, Name: "Eve", Land: some("fr"), Teacher: some(uint32(3))}), // of herself
			books.Insert(tx, &book{Country: some("de"), Author: some(uint32(1)), Title: "one"}),
			books.Insert(tx, &book{Country: some("de"), Author: some(uint32(2)), Title: "two"}),
			books.Insert(tx, &book{Country: some("xx"), Title: "nobody's"}), // null: refers to nothing
			reviews.Insert(tx, &review{Book: 2, Stars: 5}))
		if err != nil {
			return err
		}
		// Ann's pupil's book has a review, which does not cascade: nothing goes.
		fails(t, "delete of Ann", authors.Delete(tx, "de", 1), ErrReferenced)
		b, err := byAutor.First(tx, Prefix("de", 1))
		if err != nil || b.Title != "one" {
			t.Errorf("%+v, %v", b, err)
		}
		return err
	})
	checkDB(t, db)
	update(t, db, func(tx *Tx) error {
		fails(t, "drop of a table referred to", ignoreText(tx.DropTable("books")), errRefused)
		return firstError(reviews.Delete(tx, 2, 5), authors.Delete(tx, "de", 1), authors.Delete(tx, "fr", 3))
	})
	view(t, db, func(tx *Tx) error {
		left, err := collect(books.Scan(tx, Span{}))
		if len(left) != 1 || left[0].Title != "nobody's" {
			t.Errorf("%+v", left)
		}
		people, err2 := collect(authors.Scan(tx, Span{}))
		if len(people) != 0 {
			t.Errorf("%+v", people)
		}
		return firstError(err, err2)
	})
	checkDB(t, db)
}

var errRefused = errorText("refused")

type errorText string

func (e errorText) Error() string { return string(e) }

func ignoreText(err error) error {
	if err != nil {
		return errRefused
	}
	return nil
}

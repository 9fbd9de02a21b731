package file

// NoticeKind says what became of a name or an inode.
type NoticeKind int

// What may become of names, and what transactions may do to an inode.
const (
	Created    NoticeKind = iota // a new inode has a name
	Linked                       // an inode has one name more
	Unlinked                     // an inode has one name less, and may be about to go
	Removed                      // a name is gone, and maybe the inode
	Renamed                      // a name has moved, maybe in place of another
	Exchange                     // two names were swapped
	Gone                         // an inode is gone with its contents
	Modified                     // a transaction (Tx) has changed an inode's contents
	Altered                      // a transaction has changed an inode's attributes
	Overturned                   // any name and inode may be otherwise, as after a restore; nothing else is told of it
)

// Notice tells of a change.
type Notice struct {
	Kind      NoticeKind
	Inode     *Inode
	Directory bool   // the inode is one
	Dir       *Inode // with the name, of changes of names
	Name      string
	To        *Inode // with the new name, of Renamed and Exchange
	NewName   string
	Other     *Inode // what the new name was before; nil: there was none
	OtherDir  bool   // that is a directory
}

// Listen has fn called with each change of names, and with what transactions change
// otherwise, in their order, before the call that makes it returns. What the methods of
// Inode do to contents and attributes is for their callers to tell, who know which name
// they came by. fn is called with the name space and the inodes concerned locked: it must
// not block, nor call this package but for Inode.Place. A change that is a part of a
// transaction (Update) is told even if that is undone, which Overturned then tells. Listen is called once.
func (fs *FS) Listen(fn func(*Notice)) { fs.listener.Store(&fn) }

func (fs *FS) tell(n Notice) {
	if fn := fs.listener.Load(); fn != nil {
		(*fn)(&n)
	}
}

module github.com/tuplix/tuplix

go 1.26

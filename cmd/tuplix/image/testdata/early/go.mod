module aaa.example/x.y

go 1.25

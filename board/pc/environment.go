package pc

import "os"

// environment is what programs count on and the command line need not say:
// without HOME, os.UserHomeDir, UserCacheDir and UserConfigDir fail.
var environment = []struct{ name, value string }{
	{"HOME", "/"},
	{"PATH", "/usr/local/bin:/usr/bin:/bin"},
}

// completeEnvironment sets what is missing of it. A variable that the command
// line sets, be it to nothing, stays as it is.
func completeEnvironment() error {
	for _, v := range environment {
		if _, ok := os.LookupEnv(v.name); ok {
			continue
		}
		if err := os.Setenv(v.name, v.value); err != nil {
			return err
		}
	}
	return nil
}

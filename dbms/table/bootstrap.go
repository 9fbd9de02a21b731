package table

// jobsTable is the id of catalog.jobs.
const jobsTable = 7

// bootstrap writes the first catalog: that of the catalog's own tables.
func (t *Tx) bootstrap() error {
	boot, err := bootCatalog()
	if err != nil {
		return err
	}
	if _, found, err := t.epoch(); err != nil || found {
		return err
	}
	t.begin()
	t.cat = boot.clone()
	t.cat.epoch = t.newEpoch()
	t.cat.link()
	if err := catStore.Insert(t, &storeRow{Format: catalogFormat, Epoch: []byte(t.cat.epoch), Table: firstTable - 1, Schema: catalogSchema}); err != nil {
		return err
	}
	for id := range uint32(len(systemTables)) {
		if err := t.store(t.cat.tables[id+1]); err != nil {
			return err
		}
	}
	return nil
}

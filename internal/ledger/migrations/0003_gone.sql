-- PPMS was seen without the account: one of that login that it has later may be somebody else's.
ALTER TABLE links ADD COLUMN gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1));

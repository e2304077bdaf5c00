"""Decrypts every file of the set in argv[1] with the password in argv[2] and prints the digests."""
import hashlib, json, sys
from iphone_backup_decrypt import EncryptedBackup
backup = EncryptedBackup(backup_directory=sys.argv[1], passphrase=sys.argv[2])
with backup.manifest_db_cursor() as cursor:
    rows = cursor.execute('SELECT fileID, file FROM Files WHERE flags = 1').fetchall()
digest = lambda row: hashlib.sha256(backup._decrypt_inner_file(file_id=row[0], file_bplist=row[1])).hexdigest()
print(json.dumps({row[0]: digest(row) for row in rows}))

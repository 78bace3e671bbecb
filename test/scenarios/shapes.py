"""Sample schemas of a kind that everybody knows, each as an old and a new version, with generated rows.

A line of a table is `old column | new column | what its values are`; `-` where a side has no such column. The second
word of a value's description says what the new side makes of it, where that is another value.
"""
import datetime
import random
import sqlite3

FIRST = "Ada Bela Cora Dina Edda Finn Gero Hugo Ines Jana Kurt Lena Mona Nils Olga Paul Rosa Sven Tina Udo Vera Wim".split()
LAST = "Abel Bach Conrad Dorn Eberl Falk Graf Hahn Ilg Jung Kern Lang Mohr Nagel Otto Pohl Quast Roth Senn Thal Voss".split()
THING = "river stone lamp cloud paper engine garden violin harbor candle mirror forest button ladder island pepper".split()
KIND = "red blue small large quiet loud early late bright dark sweet heavy light rapid round plain".split()
PLACE = "Aalen Bremen Celle Dresden Erfurt Fulda Gera Halle Ilmenau Jena Kiel Lingen Mainz Neuss Oldenburg Passau".split()
COUNTRY = "Austria Belgium Chile Denmark Egypt Finland Greece Hungary Iceland Japan Kenya Latvia Malta Norway Oman".split()


class Values:
    """Rows by description; the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, what, row, counts):
        r = self.random
        if what.startswith("?"):
            return None if row % 7 == 3 else self.value(what[1:], row, counts)
        kind, _, argument = what.partition(":")
        if kind == "serial":
            return row + 1
        if kind == "ref":
            return r.randrange(counts[argument]) + 1
        if kind == "first":
            return r.choice(FIRST)
        if kind == "last":
            return r.choice(LAST)
        if kind == "person":
            return "%s %s %d" % (r.choice(FIRST), r.choice(LAST), row)
        if kind == "thing":
            return "%s %s %d" % (r.choice(KIND), r.choice(THING), row)
        if kind == "prose":
            return " ".join(r.choice(KIND + THING) for _ in range(12)) + " %d" % row
        if kind == "word":
            return "%s%d" % (r.choice(THING), row)
        if kind == "city":
            return r.choice(PLACE)
        if kind == "country":
            return r.choice(COUNTRY)
        if kind == "street":
            return "%s street %d" % (r.choice(THING), r.randrange(300))
        if kind == "zip":
            return "%05d" % r.randrange(10000, 99999)
        if kind == "phone":
            return "+49 %d %06d" % (r.randrange(30, 999), r.randrange(10 ** 6))
        if kind == "email":
            return "%s.%s%d@example.org" % (r.choice(FIRST).lower(), r.choice(LAST).lower(), row)
        if kind == "url":
            return "https://example.org/%s/%d" % (r.choice(THING), row)
        if kind == "price":
            return r.randrange(50, 9999) / 100
        if kind == "number":
            low, high = argument.split("-")
            return r.randrange(int(low), int(high))
        if kind == "date":
            return str(datetime.date(2019, 1, 1) + datetime.timedelta(days=r.randrange(2000)))
        if kind == "iso":
            return (datetime.datetime(2020, 1, 1) + datetime.timedelta(seconds=r.randrange(10 ** 8))).isoformat() + "Z"
        if kind == "epoch":
            return 1577836800 + r.randrange(10 ** 8)
        if kind == "yn":
            return r.choice("YN")
        if kind == "flag":
            return r.randrange(2)
        if kind == "one":
            return r.choice(argument.split(","))
        if kind == "bytes":
            return bytes([r.randrange(256) for _ in range(12)])
        raise ValueError(what)


def changed(value, how):
    """What the new side holds for a value of the old one."""
    if value is None or not how:
        return value
    if how == "epoch_s":
        return int(datetime.datetime.fromisoformat(value[:-1]).replace(tzinfo=datetime.timezone.utc).timestamp())
    if how == "iso8601":
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc).isoformat()[:19] + "Z"
    if how == "truth":
        return 1 if value == "Y" else 0
    if how == "integer":
        return int(value)
    if how == "text":
        return str(value)
    raise ValueError(how)


def name_of(column):
    """`"odd name" TEXT` gives `odd name`."""
    return column[1:column.index('"', 1)] if column.startswith('"') else column.split()[0]


class Table:
    def __init__(self, head, rows, lines):
        self.old, self.new = [part.strip() for part in head.split("->")]
        self.rows = rows
        self.columns, self.old_more, self.new_more = [], [], []
        for line in lines:
            if line.startswith("+old "):
                self.old_more.append(line[5:])
                continue
            if line.startswith("+new "):
                self.new_more.append(line[5:])
                continue
            old, new, what = [part.strip() for part in line.split("|")]
            words = what.split()
            self.columns.append((None if old == "-" else old, None if new == "-" else new, words[0] if words else "",
                                 words[1] if len(words) > 1 else ""))

    def ddl(self, new):
        columns = [c[1 if new else 0] for c in self.columns if c[1 if new else 0]]
        return 'CREATE TABLE "%s" (%s);' % (self.new if new else self.old,
                                          ", ".join(columns + (self.new_more if new else self.old_more)))

    def renames(self):
        """new column → old column, for those that are on both sides."""
        return {name_of(c[1]): name_of(c[0]) for c in self.columns if c[0] and c[1]}


class Shape:
    def __init__(self, name, text):
        self.name, self.tables = name, []
        for block in text.strip().split("\n\n"):
            lines = block.splitlines()
            head, _, rows = lines[0].partition(" x ")
            self.tables.append(Table(head, int(rows), lines[1:]))

    def make(self, path, new, part=1.0, only_new=None):
        """A database of one version; with a part of the rows in the new one."""
        counts = {t.old: t.rows for t in self.tables}
        connection = sqlite3.connect(path)
        for table in self.tables:
            if "-" in ((table.old if not new else table.new),):
                continue
            connection.execute(table.ddl(new))
            values = Values(self.name + table.old)
            seen = set()
            for row in range(table.rows):
                made = [values.value(c[2], row, counts) if c[2] else None for c in table.columns]
                if len(table.columns) and not self.is_fresh(table, made, seen):
                    continue
                if row >= table.rows * part:
                    break
                kept = [changed(v, c[3]) if new else v for v, c in zip(made, table.columns)
                        if c[1 if new else 0] and c[2]]
                names = [name_of(c[1 if new else 0]) for c in table.columns if c[1 if new else 0] and c[2]]
                connection.execute('INSERT INTO "%s" (%s) VALUES (%s)' % (
                    table.new if new else table.old, ", ".join('"%s"' % n.replace('"', '""') for n in names),
                    ", ".join("?" * len(kept))), kept)
        connection.commit()
        connection.close()

    @staticmethod
    def is_fresh(table, made, seen):
        """Keys of several columns are drawn, and may come twice."""
        if any("PRIMARY KEY" in c[0] for c in table.columns if c[0]):
            return True
        parts = tuple(made[:2])
        fresh = parts not in seen
        seen.add(parts)
        return fresh


MUSIC = Shape("music", """
Artist -> artists x 60
ArtistId INTEGER PRIMARY KEY | artist_id INTEGER PRIMARY KEY | serial
Name NVARCHAR(120) | name TEXT | person

Album -> albums x 120
AlbumId INTEGER PRIMARY KEY | album_id INTEGER PRIMARY KEY | serial
Title NVARCHAR(160) NOT NULL | album_title TEXT NOT NULL | thing
ArtistId INTEGER NOT NULL REFERENCES Artist(ArtistId) | artist_id INTEGER NOT NULL REFERENCES artists(artist_id) | ref:Artist

MediaType -> media_formats x 20
MediaTypeId INTEGER PRIMARY KEY | media_format_id INTEGER PRIMARY KEY | serial
Name NVARCHAR(120) | label TEXT | word

Genre -> genres x 25
GenreId INTEGER PRIMARY KEY | genre_id INTEGER PRIMARY KEY | serial
Name NVARCHAR(120) | name TEXT | word

Track -> tracks x 400
TrackId INTEGER PRIMARY KEY | track_id INTEGER PRIMARY KEY | serial
Name NVARCHAR(200) NOT NULL | title TEXT NOT NULL | thing
AlbumId INTEGER REFERENCES Album(AlbumId) | album_id INTEGER REFERENCES albums(album_id) | ref:Album
MediaTypeId INTEGER NOT NULL REFERENCES MediaType(MediaTypeId) | media_format_id INTEGER NOT NULL REFERENCES media_formats(media_format_id) | ref:MediaType
GenreId INTEGER REFERENCES Genre(GenreId) | genre_id INTEGER REFERENCES genres(genre_id) | ref:Genre
Composer NVARCHAR(220) | written_by TEXT | ?person
Milliseconds INTEGER NOT NULL | duration_ms INTEGER NOT NULL | number:60000-600000
Bytes INTEGER | size_bytes INTEGER | number:1000000-9000000
UnitPrice NUMERIC(10,2) NOT NULL | unit_price NUMERIC(10,2) NOT NULL | price

Playlist -> playlists x 18
PlaylistId INTEGER PRIMARY KEY | playlist_id INTEGER PRIMARY KEY | serial
Name NVARCHAR(120) | name TEXT | thing

PlaylistTrack -> playlist_tracks x 300
PlaylistId INTEGER NOT NULL REFERENCES Playlist(PlaylistId) | playlist_id INTEGER NOT NULL REFERENCES playlists(playlist_id) | ref:Playlist
TrackId INTEGER NOT NULL REFERENCES Track(TrackId) | track_id INTEGER NOT NULL REFERENCES tracks(track_id) | ref:Track
+old PRIMARY KEY (PlaylistId, TrackId)
+new PRIMARY KEY (playlist_id, track_id)

Employee -> staff x 30
EmployeeId INTEGER PRIMARY KEY | staff_id INTEGER PRIMARY KEY | serial
LastName NVARCHAR(20) NOT NULL | last_name TEXT NOT NULL | last
FirstName NVARCHAR(20) NOT NULL | first_name TEXT NOT NULL | first
Title NVARCHAR(30) | job_title TEXT | word
ReportsTo INTEGER REFERENCES Employee(EmployeeId) | manager_id INTEGER REFERENCES staff(staff_id) | ?ref:Employee
BirthDate DATETIME | birth_date TEXT | date
HireDate DATETIME | hired_on TEXT | date
Address NVARCHAR(70) | address TEXT | street
City NVARCHAR(40) | city TEXT | city
PostalCode NVARCHAR(10) | zip TEXT | zip
Phone NVARCHAR(24) | phone TEXT | phone
Fax NVARCHAR(24) | - | ?phone
Email NVARCHAR(60) | email TEXT | email

Customer -> customers x 80
CustomerId INTEGER PRIMARY KEY | customer_id INTEGER PRIMARY KEY | serial
FirstName NVARCHAR(40) NOT NULL | first_name TEXT NOT NULL | first
LastName NVARCHAR(20) NOT NULL | last_name TEXT NOT NULL | last
Company NVARCHAR(80) | company TEXT | ?thing
Address NVARCHAR(70) | street TEXT | street
City NVARCHAR(40) | city TEXT | city
Country NVARCHAR(40) | country TEXT | country
PostalCode NVARCHAR(10) | postal_code TEXT | zip
Phone NVARCHAR(24) | phone_number TEXT | phone
Email NVARCHAR(60) NOT NULL | email_address TEXT NOT NULL | email
SupportRepId INTEGER REFERENCES Employee(EmployeeId) | support_rep_id INTEGER REFERENCES staff(staff_id) | ref:Employee

Invoice -> invoices x 200
InvoiceId INTEGER PRIMARY KEY | invoice_id INTEGER PRIMARY KEY | serial
CustomerId INTEGER NOT NULL REFERENCES Customer(CustomerId) | customer_id INTEGER NOT NULL REFERENCES customers(customer_id) | ref:Customer
InvoiceDate DATETIME NOT NULL | invoiced_on TEXT NOT NULL | date
BillingAddress NVARCHAR(70) | billing_street TEXT | street
BillingCity NVARCHAR(40) | billing_city TEXT | city
BillingCountry NVARCHAR(40) | billing_country TEXT | country
BillingPostalCode NVARCHAR(10) | billing_zip TEXT | zip
Total NUMERIC(10,2) NOT NULL | total NUMERIC(10,2) NOT NULL | price

InvoiceLine -> invoice_items x 500
InvoiceLineId INTEGER PRIMARY KEY | invoice_item_id INTEGER PRIMARY KEY | serial
InvoiceId INTEGER NOT NULL REFERENCES Invoice(InvoiceId) | invoice_id INTEGER NOT NULL REFERENCES invoices(invoice_id) | ref:Invoice
TrackId INTEGER NOT NULL REFERENCES Track(TrackId) | track_id INTEGER NOT NULL REFERENCES tracks(track_id) | ref:Track
UnitPrice NUMERIC(10,2) NOT NULL | price_each NUMERIC(10,2) NOT NULL | price
Quantity INTEGER NOT NULL | qty INTEGER NOT NULL | number:1-9
""")

ORDERS = Shape("orders", """
Categories -> product_categories x 12
CategoryID INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
CategoryName TEXT NOT NULL | name TEXT NOT NULL | word
Description TEXT | description TEXT | prose
Picture BLOB | image BLOB | bytes

Suppliers -> vendors x 30
SupplierID INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
CompanyName TEXT NOT NULL | company_name TEXT NOT NULL | thing
ContactName TEXT | contact_person TEXT | person
City TEXT | city TEXT | city
Country TEXT | country TEXT | country
Phone TEXT | phone TEXT | phone
HomePage TEXT | website TEXT | ?url

Products -> products x 90
ProductID INTEGER PRIMARY KEY | product_id INTEGER PRIMARY KEY | serial
ProductName TEXT NOT NULL | product_name TEXT NOT NULL | thing
SupplierID INTEGER REFERENCES Suppliers(SupplierID) | vendor_id INTEGER REFERENCES vendors(id) | ref:Suppliers
CategoryID INTEGER REFERENCES Categories(CategoryID) | category_id INTEGER REFERENCES product_categories(id) | ref:Categories
QuantityPerUnit TEXT | package TEXT | word
UnitPrice REAL | unit_price REAL | price
UnitsInStock INTEGER | in_stock INTEGER | number:0-500
UnitsOnOrder INTEGER | on_order INTEGER | number:0-90
Discontinued TEXT NOT NULL | is_discontinued INTEGER NOT NULL | yn truth

Customers -> customers x 80
CustomerID TEXT PRIMARY KEY NOT NULL | code TEXT PRIMARY KEY NOT NULL | word
CompanyName TEXT NOT NULL | company TEXT NOT NULL | thing
ContactName TEXT | contact_name TEXT | person
ContactTitle TEXT | contact_role TEXT | one:owner,agent,clerk
Address TEXT | street_address TEXT | street
City TEXT | city TEXT | city
PostalCode TEXT | postcode TEXT | zip
Country TEXT | country TEXT | country
Phone TEXT | telephone TEXT | phone
Fax TEXT | - | ?phone

Employees -> employees x 25
EmployeeID INTEGER PRIMARY KEY | employee_id INTEGER PRIMARY KEY | serial
LastName TEXT NOT NULL | surname TEXT NOT NULL | last
FirstName TEXT NOT NULL | forename TEXT NOT NULL | first
Title TEXT | position TEXT | one:manager,seller,clerk,driver
BirthDate TEXT | born_on TEXT | date
HireDate TEXT | hire_date TEXT | date
Notes TEXT | remarks TEXT | prose
ReportsTo INTEGER REFERENCES Employees(EmployeeID) | reports_to INTEGER REFERENCES employees(employee_id) | ?ref:Employees

Shippers -> carriers x 8
ShipperID INTEGER PRIMARY KEY | carrier_id INTEGER PRIMARY KEY | serial
CompanyName TEXT NOT NULL | company_name TEXT NOT NULL | thing
Phone TEXT | phone TEXT | phone

Region -> regions x 9
RegionID INTEGER PRIMARY KEY | region_id INTEGER PRIMARY KEY | serial
RegionDescription TEXT NOT NULL | description TEXT NOT NULL | word

Territories -> territories x 40
TerritoryID INTEGER PRIMARY KEY | territory_id INTEGER PRIMARY KEY | serial
TerritoryDescription TEXT NOT NULL | territory_name TEXT NOT NULL | word
RegionID INTEGER NOT NULL REFERENCES Region(RegionID) | region_id INTEGER NOT NULL REFERENCES regions(region_id) | ref:Region

EmployeeTerritories -> employee_territories x 60
EmployeeID INTEGER NOT NULL REFERENCES Employees(EmployeeID) | employee_id INTEGER NOT NULL REFERENCES employees(employee_id) | ref:Employees
TerritoryID INTEGER NOT NULL REFERENCES Territories(TerritoryID) | territory_id INTEGER NOT NULL REFERENCES territories(territory_id) | ref:Territories
+old PRIMARY KEY (EmployeeID, TerritoryID)
+new PRIMARY KEY (employee_id, territory_id)

Orders -> sales_orders x 200
OrderID INTEGER PRIMARY KEY | order_id INTEGER PRIMARY KEY | serial
CustomerID TEXT | customer_code TEXT | word
EmployeeID INTEGER REFERENCES Employees(EmployeeID) | employee_id INTEGER REFERENCES employees(employee_id) | ref:Employees
OrderDate TEXT | ordered_at INTEGER | iso epoch_s
RequiredDate TEXT | required_at INTEGER | iso epoch_s
ShippedDate TEXT | shipped_at INTEGER | ?iso epoch_s
ShipVia INTEGER REFERENCES Shippers(ShipperID) | carrier_id INTEGER REFERENCES carriers(carrier_id) | ref:Shippers
Freight REAL | freight_cost REAL | price
ShipName TEXT | ship_to_name TEXT | person
ShipCity TEXT | ship_to_city TEXT | city
ShipCountry TEXT | ship_to_country TEXT | country
- | channel TEXT NOT NULL DEFAULT 'web' |

Order Details -> order_items x 400
OrderID INTEGER NOT NULL REFERENCES Orders(OrderID) | order_id INTEGER NOT NULL REFERENCES sales_orders(order_id) | ref:Orders
ProductID INTEGER NOT NULL REFERENCES Products(ProductID) | product_id INTEGER NOT NULL REFERENCES products(product_id) | ref:Products
UnitPrice REAL NOT NULL | unit_price REAL NOT NULL | price
Quantity INTEGER NOT NULL | quantity INTEGER NOT NULL | number:1-99
Discount TEXT NOT NULL | discount_percent INTEGER NOT NULL | number:0-30 integer
+old PRIMARY KEY (OrderID, ProductID)
+new PRIMARY KEY (order_id, product_id)
""")

RENTAL = Shape("rental", """
country -> countries x 15
country_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
country TEXT NOT NULL | name TEXT NOT NULL | word
last_update TEXT NOT NULL | updated_at INTEGER NOT NULL | iso epoch_s

city -> cities x 40
city_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
city TEXT NOT NULL | name TEXT NOT NULL | word
country_id INTEGER NOT NULL REFERENCES country(country_id) | country_id INTEGER NOT NULL REFERENCES countries(id) | ref:country
last_update TEXT NOT NULL | updated_at INTEGER NOT NULL | iso epoch_s

address -> addresses x 70
address_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
address TEXT NOT NULL | street TEXT NOT NULL | street
district TEXT NOT NULL | district TEXT NOT NULL | word
city_id INTEGER NOT NULL REFERENCES city(city_id) | city_id INTEGER NOT NULL REFERENCES cities(id) | ref:city
postal_code TEXT | zip_code TEXT | zip
phone TEXT NOT NULL | phone TEXT NOT NULL | phone
last_update TEXT NOT NULL | updated_at INTEGER NOT NULL | iso epoch_s

language -> languages x 6
language_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
name TEXT NOT NULL | name TEXT NOT NULL | word

category -> genres x 16
category_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
name TEXT NOT NULL | name TEXT NOT NULL | word

actor -> actors x 90
actor_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
first_name TEXT NOT NULL | first_name TEXT NOT NULL | first
last_name TEXT NOT NULL | last_name TEXT NOT NULL | last

film -> movies x 200
film_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
title TEXT NOT NULL | title TEXT NOT NULL | thing
description TEXT | summary TEXT | prose
release_year INTEGER | release_year INTEGER | number:1960-2024
language_id INTEGER NOT NULL REFERENCES language(language_id) | language_id INTEGER NOT NULL REFERENCES languages(id) | ref:language
rental_duration INTEGER NOT NULL | rental_days INTEGER NOT NULL | number:2-9
rental_rate NUMERIC(4,2) NOT NULL | rental_rate NUMERIC(4,2) NOT NULL | price
length INTEGER | runtime_minutes INTEGER | number:45-240
replacement_cost NUMERIC(5,2) NOT NULL | replacement_cost NUMERIC(5,2) NOT NULL | price
rating TEXT | rating TEXT | one:G,PG,R,X

film_actor -> movie_actors x 300
actor_id INTEGER NOT NULL REFERENCES actor(actor_id) | actor_id INTEGER NOT NULL REFERENCES actors(id) | ref:actor
film_id INTEGER NOT NULL REFERENCES film(film_id) | movie_id INTEGER NOT NULL REFERENCES movies(id) | ref:film
+old PRIMARY KEY (actor_id, film_id)
+new PRIMARY KEY (actor_id, movie_id)

film_category -> movie_genres x 150
film_id INTEGER NOT NULL REFERENCES film(film_id) | movie_id INTEGER NOT NULL REFERENCES movies(id) | ref:film
category_id INTEGER NOT NULL REFERENCES category(category_id) | genre_id INTEGER NOT NULL REFERENCES genres(id) | ref:category
+old PRIMARY KEY (film_id, category_id)
+new PRIMARY KEY (movie_id, genre_id)

store -> shops x 5
store_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
address_id INTEGER NOT NULL REFERENCES address(address_id) | address_id INTEGER NOT NULL REFERENCES addresses(id) | ref:address

staff -> staff x 20
staff_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
first_name TEXT NOT NULL | first_name TEXT NOT NULL | first
last_name TEXT NOT NULL | last_name TEXT NOT NULL | last
address_id INTEGER NOT NULL REFERENCES address(address_id) | address_id INTEGER NOT NULL REFERENCES addresses(id) | ref:address
picture BLOB | photo BLOB | bytes
email TEXT | email TEXT | email
store_id INTEGER NOT NULL REFERENCES store(store_id) | shop_id INTEGER NOT NULL REFERENCES shops(id) | ref:store
active INTEGER NOT NULL | is_active INTEGER NOT NULL | flag
username TEXT NOT NULL | login TEXT NOT NULL | word

customer -> customers x 100
customer_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
store_id INTEGER NOT NULL REFERENCES store(store_id) | shop_id INTEGER NOT NULL REFERENCES shops(id) | ref:store
first_name TEXT NOT NULL | first_name TEXT NOT NULL | first
last_name TEXT NOT NULL | last_name TEXT NOT NULL | last
email TEXT | email TEXT | ?email
address_id INTEGER NOT NULL REFERENCES address(address_id) | address_id INTEGER NOT NULL REFERENCES addresses(id) | ref:address
active TEXT NOT NULL | active INTEGER NOT NULL | yn truth
create_date TEXT NOT NULL | created_at INTEGER NOT NULL | iso epoch_s

inventory -> inventory x 300
inventory_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
film_id INTEGER NOT NULL REFERENCES film(film_id) | movie_id INTEGER NOT NULL REFERENCES movies(id) | ref:film
store_id INTEGER NOT NULL REFERENCES store(store_id) | shop_id INTEGER NOT NULL REFERENCES shops(id) | ref:store

rental -> rentals x 400
rental_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
rental_date TEXT NOT NULL | rented_at INTEGER NOT NULL | iso epoch_s
inventory_id INTEGER NOT NULL REFERENCES inventory(inventory_id) | inventory_id INTEGER NOT NULL REFERENCES inventory(id) | ref:inventory
customer_id INTEGER NOT NULL REFERENCES customer(customer_id) | customer_id INTEGER NOT NULL REFERENCES customers(id) | ref:customer
return_date TEXT | returned_at INTEGER | ?iso epoch_s
staff_id INTEGER NOT NULL REFERENCES staff(staff_id) | staff_id INTEGER NOT NULL REFERENCES staff(id) | ref:staff

payment -> payments x 400
payment_id INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
customer_id INTEGER NOT NULL REFERENCES customer(customer_id) | customer_id INTEGER NOT NULL REFERENCES customers(id) | ref:customer
staff_id INTEGER NOT NULL REFERENCES staff(staff_id) | staff_id INTEGER NOT NULL REFERENCES staff(id) | ref:staff
rental_id INTEGER REFERENCES rental(rental_id) | rental_id INTEGER REFERENCES rentals(id) | ?ref:rental
amount NUMERIC(5,2) NOT NULL | amount NUMERIC(5,2) NOT NULL | price
payment_date TEXT NOT NULL | paid_at INTEGER NOT NULL | iso epoch_s
""")

BLOG = Shape("blog", """
wp_users -> accounts x 60
ID INTEGER PRIMARY KEY | account_id INTEGER PRIMARY KEY | serial
user_login TEXT NOT NULL | login TEXT NOT NULL | word
user_pass TEXT NOT NULL | password_hash TEXT NOT NULL | word
user_email TEXT NOT NULL | email TEXT NOT NULL | email
user_url TEXT | website TEXT | ?url
user_registered INTEGER NOT NULL | registered_at TEXT NOT NULL | epoch iso8601
display_name TEXT NOT NULL | display_name TEXT NOT NULL | person

wp_usermeta -> account_settings x 150
umeta_id INTEGER PRIMARY KEY | setting_id INTEGER PRIMARY KEY | serial
user_id INTEGER NOT NULL REFERENCES wp_users(ID) | account_id INTEGER NOT NULL REFERENCES accounts(account_id) | ref:wp_users
meta_key TEXT | setting_key TEXT | one:color,font,locale,layout,editor
meta_value TEXT | setting_value TEXT | word

wp_posts -> posts x 150
ID INTEGER PRIMARY KEY | post_id INTEGER PRIMARY KEY | serial
post_author INTEGER NOT NULL REFERENCES wp_users(ID) | author_id INTEGER NOT NULL REFERENCES accounts(account_id) | ref:wp_users
post_date INTEGER NOT NULL | published_at TEXT NOT NULL | epoch iso8601
post_title TEXT NOT NULL | title TEXT NOT NULL | thing
post_content TEXT NOT NULL | body TEXT NOT NULL | prose
post_excerpt TEXT | excerpt TEXT | ?prose
post_status TEXT NOT NULL | status TEXT NOT NULL | one:draft,publish,private
comment_status TEXT NOT NULL | comments_open TEXT NOT NULL | one:open,closed
post_name TEXT NOT NULL | slug TEXT NOT NULL | word
post_modified INTEGER NOT NULL | modified_at TEXT NOT NULL | epoch iso8601
menu_order TEXT NOT NULL | menu_order INTEGER NOT NULL | number:0-40 integer

wp_postmeta -> post_fields x 200
meta_id INTEGER PRIMARY KEY | field_id INTEGER PRIMARY KEY | serial
post_id INTEGER NOT NULL REFERENCES wp_posts(ID) | post_id INTEGER NOT NULL REFERENCES posts(post_id) | ref:wp_posts
meta_key TEXT | field_key TEXT | one:thumb,views,geo,mood,source
meta_value TEXT | field_value TEXT | word

wp_comments -> comments x 200
comment_ID INTEGER PRIMARY KEY | comment_id INTEGER PRIMARY KEY | serial
comment_post_ID INTEGER NOT NULL REFERENCES wp_posts(ID) | post_id INTEGER NOT NULL REFERENCES posts(post_id) | ref:wp_posts
comment_author TEXT NOT NULL | author_name TEXT NOT NULL | person
comment_author_email TEXT NOT NULL | author_email TEXT NOT NULL | email
comment_author_IP TEXT NOT NULL | author_ip TEXT NOT NULL | word
comment_date INTEGER NOT NULL | written_at TEXT NOT NULL | epoch iso8601
comment_content TEXT NOT NULL | content TEXT NOT NULL | prose
comment_approved TEXT NOT NULL | approved INTEGER NOT NULL | yn truth
comment_agent TEXT NOT NULL | - | word

wp_commentmeta -> comment_fields x 90
meta_id INTEGER PRIMARY KEY | field_id INTEGER PRIMARY KEY | serial
comment_id INTEGER NOT NULL REFERENCES wp_comments(comment_ID) | comment_id INTEGER NOT NULL REFERENCES comments(comment_id) | ref:wp_comments
meta_key TEXT | field_key TEXT | one:score,flag,rank
meta_value TEXT | field_value TEXT | word

wp_terms -> terms x 60
term_id INTEGER PRIMARY KEY | term_id INTEGER PRIMARY KEY | serial
name TEXT NOT NULL | name TEXT NOT NULL | thing
slug TEXT NOT NULL | slug TEXT NOT NULL | word
term_group INTEGER NOT NULL | term_group INTEGER NOT NULL | number:0-20

wp_term_taxonomy -> taxonomies x 60
term_taxonomy_id INTEGER PRIMARY KEY | taxonomy_id INTEGER PRIMARY KEY | serial
term_id INTEGER NOT NULL REFERENCES wp_terms(term_id) | term_id INTEGER NOT NULL REFERENCES terms(term_id) | ref:wp_terms
taxonomy TEXT NOT NULL | kind TEXT NOT NULL | one:category,tag,menu
description TEXT NOT NULL | description TEXT NOT NULL | prose
count INTEGER NOT NULL | uses INTEGER NOT NULL | number:0-9000

wp_term_relationships -> post_terms x 150
object_id INTEGER NOT NULL REFERENCES wp_posts(ID) | post_id INTEGER NOT NULL REFERENCES posts(post_id) | ref:wp_posts
term_taxonomy_id INTEGER NOT NULL REFERENCES wp_term_taxonomy(term_taxonomy_id) | taxonomy_id INTEGER NOT NULL REFERENCES taxonomies(taxonomy_id) | ref:wp_term_taxonomy
term_order INTEGER NOT NULL | position INTEGER NOT NULL | number:0-5000
+old PRIMARY KEY (object_id, term_taxonomy_id)
+new PRIMARY KEY (post_id, taxonomy_id)

wp_options -> options x 80
option_id INTEGER PRIMARY KEY | option_id INTEGER PRIMARY KEY | serial
option_name TEXT NOT NULL | name TEXT NOT NULL | word
option_value TEXT NOT NULL | value TEXT NOT NULL | prose
autoload TEXT NOT NULL | autoload INTEGER NOT NULL | yn truth

wp_links -> bookmarks x 50
link_id INTEGER PRIMARY KEY | bookmark_id INTEGER PRIMARY KEY | serial
link_url TEXT NOT NULL | url TEXT NOT NULL | url
link_name TEXT NOT NULL | name TEXT NOT NULL | thing
link_description TEXT NOT NULL | description TEXT NOT NULL | prose
link_visible TEXT NOT NULL | visible INTEGER NOT NULL | yn truth
link_owner INTEGER NOT NULL REFERENCES wp_users(ID) | owner_id INTEGER NOT NULL REFERENCES accounts(account_id) | ref:wp_users
link_rating INTEGER NOT NULL | rating INTEGER NOT NULL | number:0-10
""")

COMPANY = Shape("company", """
CUST_MST -> customer x 80
CUST_NO INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
CUST_NM VARCHAR(80) NOT NULL | display_name TEXT NOT NULL | person
CUST_ADDR1 VARCHAR(80) | address_line_1 TEXT | street
CUST_ADDR2 VARCHAR(80) | address_line_2 TEXT | ?street
CUST_TEL VARCHAR(30) | phone TEXT | phone
CR_LIMIT NUMERIC(12,2) | credit_limit NUMERIC(12,2) | price
ACTV_FLG CHAR(1) NOT NULL | is_active INTEGER NOT NULL | yn truth
CRT_DT CHAR(20) NOT NULL | created_at INTEGER NOT NULL | iso epoch_s
UPD_DT CHAR(20) | changed_at INTEGER | ?iso epoch_s

VEND_MST -> vendor x 40
VEND_NO INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
VEND_NM VARCHAR(80) NOT NULL | display_name TEXT NOT NULL | person
VEND_TEL VARCHAR(30) | phone TEXT | phone
PAY_TERMS VARCHAR(10) | payment_terms TEXT | one:net10,net30,net60

ITEM_MST -> item x 120
ITEM_NO VARCHAR(20) PRIMARY KEY NOT NULL | sku TEXT PRIMARY KEY NOT NULL | word
ITEM_DESC VARCHAR(200) NOT NULL | description TEXT NOT NULL | prose
UOM CHAR(3) | unit TEXT | one:pcs,kg,m,box
STD_COST NUMERIC(12,4) | standard_cost NUMERIC(12,4) | price
LIST_PRC NUMERIC(12,4) | list_price NUMERIC(12,4) | price
VEND_NO INTEGER REFERENCES VEND_MST(VEND_NO) | vendor_id INTEGER REFERENCES vendor(id) | ref:VEND_MST
WGT REAL | weight_kg REAL | price

WHSE -> warehouse x 10
WHSE_CD INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
WHSE_NM VARCHAR(40) NOT NULL | name TEXT NOT NULL | word
CITY VARCHAR(40) | town TEXT | city

EMP -> employee x 50
EMP_ID INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
ENAME VARCHAR(40) NOT NULL | full_name TEXT NOT NULL | person
JOB VARCHAR(20) | position TEXT | one:clerk,manager,analyst,seller
MGR INTEGER REFERENCES EMP(EMP_ID) | manager_id INTEGER REFERENCES employee(id) | ?ref:EMP
HIREDATE CHAR(10) | hired_on TEXT | date
SAL NUMERIC(9,2) | salary NUMERIC(9,2) | price
COMM NUMERIC(9,2) | commission NUMERIC(9,2) | ?price
DEPTNO INTEGER REFERENCES DEPT(DEPTNO) | department_id INTEGER REFERENCES department(id) | ref:DEPT

DEPT -> department x 12
DEPTNO INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
DNAME VARCHAR(20) NOT NULL | name TEXT NOT NULL | word
LOC VARCHAR(20) | location TEXT | city

SO_HDR -> sales_order x 150
SO_NO INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
CUST_NO INTEGER NOT NULL REFERENCES CUST_MST(CUST_NO) | customer_id INTEGER NOT NULL REFERENCES customer(id) | ref:CUST_MST
SO_DT CHAR(10) NOT NULL | ordered_on TEXT NOT NULL | date
REQ_DT CHAR(10) | requested_on TEXT | date
SHIP_DT CHAR(10) | shipped_on TEXT | ?date
STAT CHAR(1) NOT NULL | status TEXT NOT NULL | one:O,S,C
SLS_REP INTEGER REFERENCES EMP(EMP_ID) | sales_rep_id INTEGER REFERENCES employee(id) | ref:EMP
TOT_AMT NUMERIC(12,2) | total NUMERIC(12,2) | price
TAX_AMT NUMERIC(12,2) | tax NUMERIC(12,2) | price

SO_DTL -> sales_order_line x 300
SO_NO INTEGER NOT NULL REFERENCES SO_HDR(SO_NO) | sales_order_id INTEGER NOT NULL REFERENCES sales_order(id) | ref:SO_HDR
LINE_NO INTEGER NOT NULL | line INTEGER NOT NULL | number:1-30
ITEM_NO VARCHAR(20) NOT NULL | item_sku TEXT NOT NULL | word
QTY INTEGER NOT NULL | quantity INTEGER NOT NULL | number:1-200
UNIT_PRC NUMERIC(12,4) NOT NULL | price NUMERIC(12,4) NOT NULL | price
DISC_PCT INTEGER | discount_percent INTEGER | ?number:1-60
+old PRIMARY KEY (SO_NO, LINE_NO)
+new PRIMARY KEY (sales_order_id, line)

PO_HDR -> purchase_order x 90
PO_NO INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
VEND_NO INTEGER NOT NULL REFERENCES VEND_MST(VEND_NO) | vendor_id INTEGER NOT NULL REFERENCES vendor(id) | ref:VEND_MST
PO_DT CHAR(10) NOT NULL | ordered_on TEXT NOT NULL | date
BUYER INTEGER REFERENCES EMP(EMP_ID) | buyer_id INTEGER REFERENCES employee(id) | ref:EMP
TOT_AMT NUMERIC(12,2) | total NUMERIC(12,2) | price

PO_DTL -> purchase_order_line x 200
PO_NO INTEGER NOT NULL REFERENCES PO_HDR(PO_NO) | purchase_order_id INTEGER NOT NULL REFERENCES purchase_order(id) | ref:PO_HDR
LINE_NO INTEGER NOT NULL | line INTEGER NOT NULL | number:1-30
ITEM_NO VARCHAR(20) NOT NULL | item_sku TEXT NOT NULL | word
QTY INTEGER NOT NULL | quantity INTEGER NOT NULL | number:1-200
UNIT_COST NUMERIC(12,4) NOT NULL | cost NUMERIC(12,4) NOT NULL | price
+old PRIMARY KEY (PO_NO, LINE_NO)
+new PRIMARY KEY (purchase_order_id, line)

STK_BAL -> stock_balance x 200
WHSE_CD INTEGER NOT NULL REFERENCES WHSE(WHSE_CD) | warehouse_id INTEGER NOT NULL REFERENCES warehouse(id) | ref:WHSE
SLOT INTEGER NOT NULL | slot INTEGER NOT NULL | number:1-900
ITEM_NO VARCHAR(20) NOT NULL | item_sku TEXT NOT NULL | word
ON_HAND INTEGER NOT NULL | quantity_on_hand INTEGER NOT NULL | number:0-4000
RSVD INTEGER NOT NULL | quantity_reserved INTEGER NOT NULL | number:0-4000
LAST_CNT CHAR(10) | last_counted_on TEXT | date
+old PRIMARY KEY (WHSE_CD, SLOT)
+new PRIMARY KEY (warehouse_id, slot)

INV_HDR -> invoice x 150
INV_NO INTEGER PRIMARY KEY | id INTEGER PRIMARY KEY | serial
SO_NO INTEGER REFERENCES SO_HDR(SO_NO) | sales_order_id INTEGER REFERENCES sales_order(id) | ref:SO_HDR
INV_DT CHAR(20) NOT NULL | issued_at INTEGER NOT NULL | iso epoch_s
DUE_DT CHAR(20) NOT NULL | due_at INTEGER NOT NULL | iso epoch_s
PAID_FLG CHAR(1) NOT NULL | is_paid INTEGER NOT NULL | yn truth
INV_AMT NUMERIC(12,2) NOT NULL | amount NUMERIC(12,2) NOT NULL | price
""")

ALL = [MUSIC, ORDERS, RENTAL, BLOG, COMPANY]

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.drivers (
    search integer NOT NULL,
    term integer NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    executor text NOT NULL,
    purpose text NOT NULL,
    started double precision NOT NULL,
    last double precision NOT NULL
);
CREATE TABLE public.evaluations (
    search integer NOT NULL,
    number integer NOT NULL,
    generation integer NOT NULL,
    origin text NOT NULL,
    parents text NOT NULL,
    operators text NOT NULL,
    chromosome text NOT NULL,
    status text NOT NULL,
    fitness double precision,
    failure text,
    parameters bigint NOT NULL,
    flops bigint NOT NULL,
    seconds double precision NOT NULL,
    worker text,
    attempts integer NOT NULL,
    cached boolean NOT NULL,
    curve text NOT NULL
);
CREATE TABLE public.events (
    search integer NOT NULL,
    sequence integer NOT NULL,
    term integer NOT NULL,
    at double precision NOT NULL,
    kind text NOT NULL,
    payload text NOT NULL
);
CREATE TABLE public.generations (
    search integer NOT NULL,
    generation integer NOT NULL,
    members text NOT NULL
);
CREATE TABLE public.meta (
    schema integer NOT NULL,
    evosearch text NOT NULL
);
CREATE TABLE public.reasons (
    search integer NOT NULL,
    sequence integer NOT NULL,
    number integer NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.searches (
    id integer NOT NULL,
    name text NOT NULL,
    term integer NOT NULL,
    sequence integer NOT NULL,
    created double precision NOT NULL,
    state text NOT NULL,
    message text NOT NULL,
    configuration text NOT NULL,
    environment text NOT NULL,
    data_key text NOT NULL,
    generation integer NOT NULL,
    generations integer NOT NULL
);
CREATE SEQUENCE public.searches_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.searches_id_seq OWNED BY public.searches.id;
CREATE TABLE public.test_readings (
    search integer NOT NULL,
    key text NOT NULL,
    number integer NOT NULL,
    epochs integer NOT NULL,
    seed bigint NOT NULL,
    metrics text,
    weights text
);
ALTER TABLE ONLY public.searches ALTER COLUMN id SET DEFAULT nextval('public.searches_id_seq'::regclass);
INSERT INTO public.drivers VALUES (1, 1, 'host', 1, 'ray', 'search', 1795000001.5, 1795000012.5);
INSERT INTO public.evaluations VALUES (1, 4, 0, 'initial', '[]', '[]', 'C11 B8 P | F8', 'done', 0.3665753697627224, NULL, 2174, 141472, 0, 'scripted-3', 1, false, '[[0.6334246302372776, 0.3665753697627224]]');
INSERT INTO public.evaluations VALUES (1, 2, 0, 'initial', '[]', '[]', 'B7 B5 B9 C11 C12 | F16 F10', 'done', 0.4383589081000536, NULL, 15570, 407400, 0, 'scripted-1', 1, false, '[[0.5616410918999464, 0.4383589081000536]]');
INSERT INTO public.evaluations VALUES (1, 5, 0, 'initial', '[]', '[]', 'C7 C7 C7 P | F23', 'done', 0.3115141938906163, NULL, 3739, 142332, 0, 'scripted-2', 1, false, '[[0.6884858061093837, 0.3115141938906163]]');
INSERT INTO public.evaluations VALUES (1, 3, 0, 'initial', '[]', '[]', 'B12 P C10 B12 B5 | F16 F20', 'done', 0.501637697732076, NULL, 4799, 131152, 0, 'scripted-3', 1, false, '[[0.498362302267924, 0.501637697732076]]');
INSERT INTO public.evaluations VALUES (1, 1, 0, 'initial', '[]', '[]', 'B8 P | F20', 'done', 0.1910282470169477, NULL, 2862, 32848, 0, 'scripted-2', 1, false, '[[0.8089717529830522, 0.1910282470169477]]');
INSERT INTO public.evaluations VALUES (1, 10, 1, 'immigrant', '[]', '[]', 'B5 P B11 | F11 F12', 'done', 0.40627478528767824, NULL, 2795, 37304, 0, 'scripted-2', 1, false, '[[0.5937252147123218, 0.40627478528767824]]');
INSERT INTO public.evaluations VALUES (1, 0, 0, 'initial', '[]', '[]', 'P C5 C7 C10 P C4 | F13', 'done', 0.3338701993809081, NULL, 1715, 37908, 0, 'scripted-1', 1, false, '[[0.6661298006190919, 0.3338701993809081]]');
INSERT INTO public.evaluations VALUES (1, 8, 1, 'crossover', '[2, 2]', '["crossed heads 4|2"]', 'B7 B5 C12 | F16 F10', 'running', NULL, NULL, 13588, 158568, 0, 'scripted-1', 1, false, '[]');
INSERT INTO public.evaluations VALUES (1, 9, 1, 'immigrant', '[]', '[]', 'C9 C7 C11 | F11', 'done', 0.24461399150313812, NULL, 9309, 207916, 0, 'scripted-3', 1, false, '[[0.7553860084968619, 0.24461399150313812]]');
INSERT INTO public.evaluations VALUES (1, 7, 1, 'crossover', '[4, 3]', '["crossed heads 1|1"]', 'C11 P C10 B12 B5 | F8 F20', 'running', NULL, NULL, 3849, 123216, 0, 'scripted-3', 1, false, '[]');
INSERT INTO public.evaluations VALUES (1, 6, 1, 'crossover', '[4, 3]', '["crossed heads 1|1"]', 'B12 B8 P | F16', 'done', 0.3853113420540467, NULL, 3346, 156224, 0, 'scripted-2', 1, false, '[[0.6146886579459533, 0.3853113420540467]]');
INSERT INTO public.evaluations VALUES (1, 14, 2, 'immigrant', '[]', '[]', 'C9 P B7 | F18 F11', 'waiting', NULL, NULL, 3107, 53720, 0, NULL, 0, false, '[]');
INSERT INTO public.evaluations VALUES (1, 15, 2, 'immigrant', '[]', '[]', 'B4 C12 C9 C12 | F15', 'running', NULL, NULL, 14096, 341052, 0, 'scripted-2', 1, false, '[]');
INSERT INTO public.events VALUES (1, 1, 0, 1795000001, 'SearchCreated', '{"configuration":{"name":"postgres","data":{"name":"covid_ct","root":"covid-ct","image_size":8,"channels":null,"test_fraction":0.2,"validation_fraction":0.2,"split_seed":0,"max_image_pixels":64000000},"seed":10,"space":{"convolutions":[1,5],"channels":[4,12],"batch_norm":0.5,"poolings":[0,2],"dense":[1,2],"units":[8,24],"max_parameters":200000000,"max_memory":null},"strategy":{"name":"eavl","population":6,"generations":3,"elites":1,"immigrants":2,"crossover_probability":0.9,"phi":2,"shrink_deviation":1.0,"redraws":100},"training":{"epochs":2,"batch_size":16,"learning_rate":0.0001,"optimizer":"adam","weight_decay":1e-08,"dropout":0.5,"normalize":"unit","precision":"fp32","deterministic":true,"threads":1},"workers":{"count":3,"per_gpu":1,"address":null,"device":"auto","stall_seconds":600.0,"soft_seconds":null,"hard_seconds":null,"recycle_after":200,"recycle_growth":2048},"storage":{"journal":null,"artifacts":null},"final":{"epochs":2}},"data_key":"9aec30a896c3c31745b1","environment":{"python":"3.11.7","evosearch":"0.1.0","torch":"2.14.1","torchvision":"0.29.1","ray":"2.60.0","numpy":"2.4.6","pillow":"13.0.0","scikit-learn":"1.9.1","device":"cpu"}}');
INSERT INTO public.events VALUES (1, 2, 1, 1795000001.5, 'DriverStarted', '{"host":"host","pid":1,"executor":"ray","configuration":{"name":"postgres","data":{"name":"covid_ct","root":"covid-ct","image_size":8,"channels":null,"test_fraction":0.2,"validation_fraction":0.2,"split_seed":0,"max_image_pixels":64000000},"seed":10,"space":{"convolutions":[1,5],"channels":[4,12],"batch_norm":0.5,"poolings":[0,2],"dense":[1,2],"units":[8,24],"max_parameters":200000000,"max_memory":null},"strategy":{"name":"eavl","population":6,"generations":3,"elites":1,"immigrants":2,"crossover_probability":0.9,"phi":2,"shrink_deviation":1.0,"redraws":100},"training":{"epochs":2,"batch_size":16,"learning_rate":0.0001,"optimizer":"adam","weight_decay":1e-08,"dropout":0.5,"normalize":"unit","precision":"fp32","deterministic":true,"threads":1},"workers":{"count":3,"per_gpu":1,"address":null,"device":"auto","stall_seconds":600.0,"soft_seconds":null,"hard_seconds":null,"recycle_after":200,"recycle_growth":2048},"storage":{"journal":null,"artifacts":null},"final":{"epochs":2}},"purpose":"search"}');
INSERT INTO public.events VALUES (1, 3, 1, 1795000002.5, 'Born', '{"candidate":{"number":0,"generation":0,"chromosome":"P C5 C7 C10 P C4 | F13","origin":"initial","parents":[],"operators":[]},"parameters":1715,"flops":37908}');
INSERT INTO public.events VALUES (1, 4, 1, 1795000002.5, 'Born', '{"candidate":{"number":1,"generation":0,"chromosome":"B8 P | F20","origin":"initial","parents":[],"operators":[]},"parameters":2862,"flops":32848}');
INSERT INTO public.events VALUES (1, 5, 1, 1795000002.5, 'Born', '{"candidate":{"number":2,"generation":0,"chromosome":"B7 B5 B9 C11 C12 | F16 F10","origin":"initial","parents":[],"operators":[]},"parameters":15570,"flops":407400}');
INSERT INTO public.events VALUES (1, 6, 1, 1795000002.5, 'Born', '{"candidate":{"number":3,"generation":0,"chromosome":"B12 P C10 B12 B5 | F16 F20","origin":"initial","parents":[],"operators":[]},"parameters":4799,"flops":131152}');
INSERT INTO public.events VALUES (1, 7, 1, 1795000002.5, 'Born', '{"candidate":{"number":4,"generation":0,"chromosome":"C11 B8 P | F8","origin":"initial","parents":[],"operators":[]},"parameters":2174,"flops":141472}');
INSERT INTO public.events VALUES (1, 8, 1, 1795000002.5, 'Born', '{"candidate":{"number":5,"generation":0,"chromosome":"C7 C7 C7 P | F23","origin":"initial","parents":[],"operators":[]},"parameters":3739,"flops":142332}');
INSERT INTO public.events VALUES (1, 9, 1, 1795000002.5, 'GenerationStarted', '{"generation":0,"members":[0,1,2,3,4,5]}');
INSERT INTO public.events VALUES (1, 10, 1, 1795000003.5, 'Dispatched', '{"number":2,"attempt":1,"worker":"scripted-1"}');
INSERT INTO public.events VALUES (1, 11, 1, 1795000003.5, 'Dispatched', '{"number":5,"attempt":1,"worker":"scripted-2"}');
INSERT INTO public.events VALUES (1, 12, 1, 1795000003.5, 'Dispatched', '{"number":4,"attempt":1,"worker":"scripted-3"}');
INSERT INTO public.events VALUES (1, 13, 1, 1795000004.5, 'Finished', '{"number":4,"attempt":1,"worker":"scripted-3","success":{"fitness":0.3665753697627224,"seconds":0.0,"curve":[{"loss":0.6334246302372776,"accuracy":0.3665753697627224}]}}');
INSERT INTO public.events VALUES (1, 14, 1, 1795000004.5, 'Dispatched', '{"number":3,"attempt":1,"worker":"scripted-3"}');
INSERT INTO public.events VALUES (1, 15, 1, 1795000005.5, 'Finished', '{"number":2,"attempt":1,"worker":"scripted-1","success":{"fitness":0.4383589081000536,"seconds":0.0,"curve":[{"loss":0.5616410918999464,"accuracy":0.4383589081000536}]}}');
INSERT INTO public.events VALUES (1, 16, 1, 1795000005.5, 'Dispatched', '{"number":0,"attempt":1,"worker":"scripted-1"}');
INSERT INTO public.events VALUES (1, 17, 1, 1795000006.5, 'Finished', '{"number":5,"attempt":1,"worker":"scripted-2","success":{"fitness":0.3115141938906163,"seconds":0.0,"curve":[{"loss":0.6884858061093837,"accuracy":0.3115141938906163}]}}');
INSERT INTO public.events VALUES (1, 18, 1, 1795000006.5, 'Dispatched', '{"number":1,"attempt":1,"worker":"scripted-2"}');
INSERT INTO public.events VALUES (1, 19, 1, 1795000007.5, 'Finished', '{"number":3,"attempt":1,"worker":"scripted-3","success":{"fitness":0.501637697732076,"seconds":0.0,"curve":[{"loss":0.498362302267924,"accuracy":0.501637697732076}]}}');
INSERT INTO public.events VALUES (1, 20, 1, 1795000007.5, 'Born', '{"candidate":{"number":9,"generation":1,"chromosome":"C9 C7 C11 | F11","origin":"immigrant","parents":[],"operators":[]},"parameters":9309,"flops":207916}');
INSERT INTO public.events VALUES (1, 21, 1, 1795000007.5, 'Born', '{"candidate":{"number":10,"generation":1,"chromosome":"B5 P B11 | F11 F12","origin":"immigrant","parents":[],"operators":[]},"parameters":2795,"flops":37304}');
INSERT INTO public.events VALUES (1, 22, 1, 1795000007.5, 'Dispatched', '{"number":9,"attempt":1,"worker":"scripted-3"}');
INSERT INTO public.events VALUES (1, 23, 1, 1795000008.5, 'Finished', '{"number":1,"attempt":1,"worker":"scripted-2","success":{"fitness":0.1910282470169477,"seconds":0.0,"curve":[{"loss":0.8089717529830522,"accuracy":0.1910282470169477}]}}');
INSERT INTO public.events VALUES (1, 24, 1, 1795000008.5, 'Dispatched', '{"number":10,"attempt":1,"worker":"scripted-2"}');
INSERT INTO public.events VALUES (1, 25, 1, 1795000009.5, 'Finished', '{"number":10,"attempt":1,"worker":"scripted-2","success":{"fitness":0.40627478528767824,"seconds":0.0,"curve":[{"loss":0.5937252147123218,"accuracy":0.40627478528767824}]}}');
INSERT INTO public.events VALUES (1, 26, 1, 1795000010.5, 'Finished', '{"number":0,"attempt":1,"worker":"scripted-1","success":{"fitness":0.3338701993809081,"seconds":0.0,"curve":[{"loss":0.6661298006190919,"accuracy":0.3338701993809081}]}}');
INSERT INTO public.events VALUES (1, 27, 1, 1795000010.5, 'Born', '{"candidate":{"number":6,"generation":1,"chromosome":"B12 B8 P | F16","origin":"crossover","parents":[4,3],"operators":["crossed heads 1|1"]},"parameters":3346,"flops":156224}');
INSERT INTO public.events VALUES (1, 28, 1, 1795000010.5, 'Born', '{"candidate":{"number":7,"generation":1,"chromosome":"C11 P C10 B12 B5 | F8 F20","origin":"crossover","parents":[4,3],"operators":["crossed heads 1|1"]},"parameters":3849,"flops":123216}');
INSERT INTO public.events VALUES (1, 29, 1, 1795000010.5, 'Born', '{"candidate":{"number":8,"generation":1,"chromosome":"B7 B5 C12 | F16 F10","origin":"crossover","parents":[2,2],"operators":["crossed heads 4|2"]},"parameters":13588,"flops":158568}');
INSERT INTO public.events VALUES (1, 30, 1, 1795000010.5, 'GenerationStarted', '{"generation":1,"members":[3,6,7,8,9,10]}');
INSERT INTO public.events VALUES (1, 31, 1, 1795000010.5, 'Dispatched', '{"number":8,"attempt":1,"worker":"scripted-1"}');
INSERT INTO public.events VALUES (1, 32, 1, 1795000010.5, 'Dispatched', '{"number":6,"attempt":1,"worker":"scripted-2"}');
INSERT INTO public.events VALUES (1, 33, 1, 1795000011.5, 'Finished', '{"number":9,"attempt":1,"worker":"scripted-3","success":{"fitness":0.24461399150313812,"seconds":0.0,"curve":[{"loss":0.7553860084968619,"accuracy":0.24461399150313812}]}}');
INSERT INTO public.events VALUES (1, 34, 1, 1795000011.5, 'Dispatched', '{"number":7,"attempt":1,"worker":"scripted-3"}');
INSERT INTO public.events VALUES (1, 35, 1, 1795000012.5, 'Finished', '{"number":6,"attempt":1,"worker":"scripted-2","success":{"fitness":0.3853113420540467,"seconds":0.0,"curve":[{"loss":0.6146886579459533,"accuracy":0.3853113420540467}]}}');
INSERT INTO public.events VALUES (1, 36, 1, 1795000012.5, 'Born', '{"candidate":{"number":14,"generation":2,"chromosome":"C9 P B7 | F18 F11","origin":"immigrant","parents":[],"operators":[]},"parameters":3107,"flops":53720}');
INSERT INTO public.events VALUES (1, 37, 1, 1795000012.5, 'Born', '{"candidate":{"number":15,"generation":2,"chromosome":"B4 C12 C9 C12 | F15","origin":"immigrant","parents":[],"operators":[]},"parameters":14096,"flops":341052}');
INSERT INTO public.events VALUES (1, 38, 1, 1795000012.5, 'Dispatched', '{"number":15,"attempt":1,"worker":"scripted-2"}');
INSERT INTO public.generations VALUES (1, 0, '[0, 1, 2, 3, 4, 5]');
INSERT INTO public.generations VALUES (1, 1, '[3, 6, 7, 8, 9, 10]');
INSERT INTO public.meta VALUES (1, '0.1.0');
INSERT INTO public.searches VALUES (1, 'postgres', 1, 38, 1795000001, 'running', '', '{"name": "postgres", "data": {"name": "covid_ct", "root": "covid-ct", "image_size": 8, "channels": null, "test_fraction": 0.2, "validation_fraction": 0.2, "split_seed": 0, "max_image_pixels": 64000000}, "seed": 10, "space": {"convolutions": [1, 5], "channels": [4, 12], "batch_norm": 0.5, "poolings": [0, 2], "dense": [1, 2], "units": [8, 24], "max_parameters": 200000000, "max_memory": null}, "strategy": {"name": "eavl", "population": 6, "generations": 3, "elites": 1, "immigrants": 2, "crossover_probability": 0.9, "phi": 2, "shrink_deviation": 1.0, "redraws": 100}, "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.0001, "optimizer": "adam", "weight_decay": 1e-08, "dropout": 0.5, "normalize": "unit", "precision": "fp32", "deterministic": true, "threads": 1}, "workers": {"count": 3, "per_gpu": 1, "address": null, "device": "auto", "stall_seconds": 600.0, "soft_seconds": null, "hard_seconds": null, "recycle_after": 200, "recycle_growth": 2048}, "storage": {"journal": null, "artifacts": null}, "final": {"epochs": 2}}', '{"python": "3.11.7", "evosearch": "0.1.0", "torch": "2.14.1", "torchvision": "0.29.1", "ray": "2.60.0", "numpy": "2.4.6", "pillow": "13.0.0", "scikit-learn": "1.9.1", "device": "cpu"}', '9aec30a896c3c31745b1', 1, 3);
SELECT pg_catalog.setval('public.searches_id_seq', 1, true);
ALTER TABLE ONLY public.drivers
    ADD CONSTRAINT drivers_pkey PRIMARY KEY (search, term);
ALTER TABLE ONLY public.evaluations
    ADD CONSTRAINT evaluations_pkey PRIMARY KEY (search, number);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (search, sequence);
ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_pkey PRIMARY KEY (search, generation);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (schema);
ALTER TABLE ONLY public.reasons
    ADD CONSTRAINT reasons_pkey PRIMARY KEY (search, sequence);
ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_name_key UNIQUE (name);
ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.test_readings
    ADD CONSTRAINT test_readings_pkey PRIMARY KEY (search, key);
CREATE INDEX evaluations_by_fitness ON public.evaluations USING btree (search, fitness, number);
CREATE INDEX evaluations_by_status ON public.evaluations USING btree (search, status, failure);
ALTER TABLE ONLY public.drivers
    ADD CONSTRAINT drivers_search_fkey FOREIGN KEY (search) REFERENCES public.searches(id);
ALTER TABLE ONLY public.evaluations
    ADD CONSTRAINT evaluations_search_fkey FOREIGN KEY (search) REFERENCES public.searches(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_search_fkey FOREIGN KEY (search) REFERENCES public.searches(id);
ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_search_fkey FOREIGN KEY (search) REFERENCES public.searches(id);
ALTER TABLE ONLY public.reasons
    ADD CONSTRAINT reasons_search_fkey FOREIGN KEY (search) REFERENCES public.searches(id);
ALTER TABLE ONLY public.test_readings
    ADD CONSTRAINT test_readings_search_fkey FOREIGN KEY (search) REFERENCES public.searches(id);
